#include "flow/topic.h"

#include "base/utf8.h"

static bool bytes_valid(struct str s) {
    return s.len >= 1 && s.len <= TOPIC_BYTES_MAX && !memchr(s.at, '\0', s.len) && utf8_valid(s);
}

bool topic_name_valid(struct str topic) {
    return bytes_valid(topic) && !memchr(topic.at, '+', topic.len) &&
           !memchr(topic.at, '#', topic.len);
}

bool topic_filter_valid(struct str filter) {
    if (!bytes_valid(filter))
        return false;
    bool last = false;
    for (struct str rest = filter; !last;) {
        last = str_find(rest, '/') == rest.len;
        struct str level = str_cut(rest, '/', &rest);
        bool hash = str_find(level, '#') < level.len;
        bool plus = str_find(level, '+') < level.len;
        if ((hash || plus) && level.len != 1)
            return false;
        if (hash && !last)
            return false;
    }
    return true;
}

bool topic_share_parse(struct str text, struct str *ret_name, struct str *ret_filter) {
    if (!str_starts(text, STR("$share/")))
        return false;
    struct str filter, name = str_cut(str_skip(text, strlen("$share/")), '/', &filter);
    if (name.len == 0 || str_find(name, '+') < name.len || str_find(name, '#') < name.len)
        return false;
    if (!bytes_valid(name) || !topic_filter_valid(filter))
        return false;
    *ret_name = name;
    *ret_filter = filter;
    return true;
}

bool topic_matches(struct str filter, struct str topic) {
    if (topic.len && topic.at[0] == '$' && filter.len &&
        (filter.at[0] == '+' || filter.at[0] == '#'))
        return false;
    for (;;) {
        bool filter_last = str_find(filter, '/') == filter.len;
        bool topic_last = str_find(topic, '/') == topic.len;
        struct str want = str_cut(filter, '/', &filter), have = str_cut(topic, '/', &topic);
        if (str_eq(want, STR("#")))
            return true;
        if (!str_eq(want, STR("+")) && !str_eq(want, have))
            return false;
        if (topic_last)
            return filter_last || str_eq(filter, STR("#"));
        if (filter_last)
            return false;
    }
}

bool topic_level(struct str topic, unsigned n, struct str *ret_level) {
    if (n == 0)
        return false;
    for (size_t at; --n; topic = str_skip(topic, at + 1)) {
        at = str_find(topic, '/');
        if (at == topic.len)
            return false;
    }
    *ret_level = str_from(topic.at, str_find(topic, '/'));
    return true;
}
