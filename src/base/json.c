/*
 * The JSON reader. One loop with explicit states goes through the text; no recursion: while an
 * array or object is open, its entry's `next` holds the index of the container around it, so the
 * tape is the stack. When it closes, `next` gets its meaning.
 *
 * Strings are scanned eight bytes at a time for what is special: a quote, a backslash, a control
 * character, a byte above 0x7f (which makes the string be checked as UTF-8).
 */
#include "base/json.h"

#include <math.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"

enum { ENTRIES_FIRST = 64, NO_CONTAINER = UINT32_MAX };

struct reader {
    struct json *json;
    const char *begin, *at, *end;
    uint32_t container; /* index of the innermost open array or object */
    unsigned depth, depth_max;
};

void json_done(struct json *json) {
    free(json->entries);
    json->entries = NULL;
    json->count = json->cap = 0;
    json->text = (struct str){0};
}

static int fail(struct reader *reader, const char *at, const char *text) {
    reader->json->error_at = (size_t)(at - reader->begin);
    reader->json->error_text = text;
    reader->json->count = 0;
    return ERR_INVALID;
}

static void entries_grow(struct json *json) {
    json->cap = json->cap ? json->cap * 2 : ENTRIES_FIRST;
    json->entries = xrealloc(json->entries, json->cap * sizeof *json->entries);
}

static struct json_entry *entry_add(struct reader *reader, enum json_type type, const char *at,
                                    size_t len) {
    struct json *json = reader->json;
    if (json->count == json->cap)
        entries_grow(json);
    struct json_entry *entry = &json->entries[json->count++];
    *entry = (struct json_entry){.at = (uint32_t)(at - reader->begin),
                                 .len = (uint32_t)len,
                                 .next = (uint32_t)json->count,
                                 .type = type};
    return entry;
}

static inline const char *skip_blank(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

/* The high bit of each byte that is a quote, a backslash, below 0x20 or above 0x7f. Borrows may
 * mark a byte behind a marked one; the first mark is exact, and only that one is used. */
static inline uint64_t special_bytes(uint64_t word) {
    const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
    uint64_t quote = word ^ (ones * '"'), backslash = word ^ (ones * '\\');
    return ((quote - ones) | (backslash - ones) | (word - ones * 0x20) | word) & highs;
}

/* The first byte that is special in a string, or `end`. */
static inline const char *scan_plain(const char *at, const char *end) {
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        uint64_t marks = special_bytes(word);
        if (marks)
            return at + (__builtin_ctzll(marks) >> 3);
    }
    while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' &&
           *at != '\\')
        at++;
    return at;
}

static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* `at` is behind the backslash. Returns what follows the escape, NULL if it is none. */
static const char *skip_escape(const char *at, const char *end) {
    if (at == end)
        return NULL;
    if (*at != 'u')
        return *at && strchr("\"\\/bfnrt", *at) ? at + 1 : NULL;
    if (end - at < 5)
        return NULL;
    for (int i = 1; i <= 4; i++)
        if (!is_hex(at[i]))
            return NULL;
    return at + 5;
}

/* reader->at is behind the opening quote. */
static int read_string(struct reader *reader) {
    const char *begin = reader->at, *at = begin, *end = reader->end;
    bool escaped = false, wide = false;
    for (;;) {
        at = scan_plain(at, end);
        if (at == end)
            return fail(reader, begin - 1, "a string without end");
        if (*at == '"')
            break;
        if (*at == '\\') {
            const char *behind = skip_escape(at + 1, end);
            if (!behind)
                return fail(reader, at, "an unknown escape in a string");
            escaped = true;
            at = behind;
        } else if ((unsigned char)*at < 0x20) {
            return fail(reader, at, "a control character in a string");
        } else {
            wide = true;
            at++;
        }
    }
    if (wide && !utf8_valid(str_from(begin, (size_t)(at - begin))))
        return fail(reader, begin, "a string that is not UTF-8");
    entry_add(reader, JSON_STRING, begin, (size_t)(at - begin))->escaped = escaped;
    reader->at = at + 1;
    return 0;
}

static inline const char *skip_digits(const char *at, const char *end) {
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

/* RFC 8259 section 6: [ minus ] int [ frac ] [ exp ]. */
static int read_number(struct reader *reader) {
    const char *begin = reader->at, *end = reader->end, *at = begin + (*begin == '-'), *digits = at;
    bool integral = true;
    at = skip_digits(at, end);
    if (at == digits || (*digits == '0' && at - digits > 1))
        return fail(reader, begin, "a malformed number");
    if (at < end && *at == '.') {
        integral = false;
        digits = ++at;
        at = skip_digits(at, end);
        if (at == digits)
            return fail(reader, begin, "a malformed number");
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        integral = false;
        at++;
        at += at < end && (*at == '+' || *at == '-');
        digits = at;
        at = skip_digits(at, end);
        if (at == digits)
            return fail(reader, begin, "a malformed number");
    }
    entry_add(reader, JSON_NUMBER, begin, (size_t)(at - begin))->integral = integral;
    reader->at = at;
    return 0;
}

static int read_word(struct reader *reader, struct str word, enum json_type type) {
    if ((size_t)(reader->end - reader->at) < word.len || memcmp(reader->at, word.at, word.len) != 0)
        return fail(reader, reader->at, "neither a value nor the end of one");
    entry_add(reader, type, reader->at, word.len);
    reader->at += word.len;
    return 0;
}

static int open_container(struct reader *reader, enum json_type type) {
    if (reader->depth == reader->depth_max) {
        fail(reader, reader->at, "too many arrays or objects within one another");
        return ERR_TOO_LARGE;
    }
    struct json_entry *entry = entry_add(reader, type, reader->at, 0);
    uint32_t index = (uint32_t)reader->json->count - 1;
    entry->next = reader->container;
    reader->container = index;
    reader->depth++;
    reader->at++;
    return 0;
}

/* reader->at stands on the closing bracket. */
static void close_container(struct reader *reader) {
    struct json_entry *entry = &reader->json->entries[reader->container];
    reader->at++;
    reader->container = entry->next;
    reader->depth--;
    entry->next = (uint32_t)reader->json->count;
    entry->len = (uint32_t)((size_t)(reader->at - reader->begin) - entry->at);
}

static int read_scalar(struct reader *reader) {
    switch (*reader->at) {
    case '"':
        reader->at++;
        return read_string(reader);
    case 't':
        return read_word(reader, STR("true"), JSON_TRUE);
    case 'f':
        return read_word(reader, STR("false"), JSON_FALSE);
    case 'n':
        return read_word(reader, STR("null"), JSON_NULL);
    case '-':
    case '0' ... '9':
        return read_number(reader);
    default:
        return fail(reader, reader->at, "neither a value nor the end of one");
    }
}

/* The key of a member and its colon. */
static int read_key(struct reader *reader) {
    reader->at = skip_blank(reader->at, reader->end);
    if (reader->at == reader->end || *reader->at != '"')
        return fail(reader, reader->at, "a member must begin with its name in quotes");
    reader->at++;
    int result = read_string(reader);
    if (result < 0)
        return result;
    reader->at = skip_blank(reader->at, reader->end);
    if (reader->at == reader->end || *reader->at != ':')
        return fail(reader, reader->at, "a colon is missing");
    reader->at++;
    return 0;
}

static inline struct json_entry *innermost(struct reader *reader) {
    return &reader->json->entries[reader->container];
}

static inline char closing(const struct json_entry *container) {
    return container->type == JSON_OBJECT ? '}' : ']';
}

/* Behind a value: closes all that ends here. Returns 1 if another value must follow, 0 if the whole
 * has ended. */
static int read_after_value(struct reader *reader) {
    while (reader->container != NO_CONTAINER) {
        struct json_entry *container = innermost(reader);
        container->count++;
        reader->at = skip_blank(reader->at, reader->end);
        if (reader->at == reader->end)
            return fail(reader, reader->at, "the text ends too early");
        if (*reader->at == ',') {
            reader->at++;
            int result = container->type == JSON_OBJECT ? read_key(reader) : 0;
            return result < 0 ? result : 1;
        }
        if (*reader->at != closing(container))
            return fail(reader, reader->at, "a comma or a closing bracket is missing");
        close_container(reader);
    }
    return 0;
}

/* At '{' or '['. Returns 1 if a value must follow, 0 if it was empty and has been closed. */
static int read_container(struct reader *reader) {
    int result = open_container(reader, *reader->at == '{' ? JSON_OBJECT : JSON_ARRAY);
    if (result < 0)
        return result;
    reader->at = skip_blank(reader->at, reader->end);
    struct json_entry *container = innermost(reader);
    if (reader->at < reader->end && *reader->at == closing(container)) {
        close_container(reader);
        return 0;
    }
    result = container->type == JSON_OBJECT ? read_key(reader) : 0;
    return result < 0 ? result : 1;
}

static int read_values(struct reader *reader) {
    int result;
    do {
        reader->at = skip_blank(reader->at, reader->end);
        if (reader->at == reader->end)
            return fail(reader, reader->at, "the text ends too early");
        if (*reader->at == '{' || *reader->at == '[')
            result = read_container(reader);
        else
            result = read_scalar(reader);
        if (result == 0)
            result = read_after_value(reader);
    } while (result > 0);
    return result;
}

int json_parse(struct json *json, struct str text) {
    struct reader reader = {.json = json,
                            .begin = text.at,
                            .at = text.at,
                            .container = NO_CONTAINER,
                            .depth_max = json->depth_max ? json->depth_max : JSON_DEPTH_MAX};
    size_t bytes_max = json->bytes_max ? json->bytes_max : JSON_BYTES_MAX;
    ASSERT(bytes_max <= JSON_BYTES_LIMIT);
    json->count = 0;
    json->text = text;
    json->error_at = 0;
    if (text.len > bytes_max) {
        json->error_text = "the text is too long";
        return ERR_TOO_LARGE;
    }
    if (text.len == 0) {
        json->error_text = "there is no text";
        return ERR_INVALID;
    }
    reader.end = reader.begin + text.len;
    int result = read_values(&reader);
    if (result < 0)
        return result;
    reader.at = skip_blank(reader.at, reader.end);
    return reader.at == reader.end ? 0 : fail(&reader, reader.at, "something follows the value");
}

struct json_value json_root(const struct json *json) {
    return (struct json_value){json->count ? json : NULL, 0};
}

size_t json_count(struct json_value value) {
    return value.json ? json_entry(value)->count : 0;
}

struct json_cursor json_each(struct json_value value) {
    enum json_type type = json_type(value);
    if (type != JSON_ARRAY && type != JSON_OBJECT)
        return (struct json_cursor){.next = 0, .end = 0};
    return (struct json_cursor){.value = {value.json, value.index},
                                .next = value.index + 1,
                                .end = json_entry(value)->next,
                                .keyed = type == JSON_OBJECT};
}

bool json_next(struct json_cursor *cursor) {
    if (cursor->next >= cursor->end)
        return false;
    cursor->value.index = cursor->next;
    if (cursor->keyed) {
        cursor->key = cursor->value;
        cursor->value.index++;
    }
    cursor->next = json_entry(cursor->value)->next;
    return true;
}

struct json_value json_member(struct json_value value, struct str key) {
    struct json_value found = {0};
    if (json_type(value) != JSON_OBJECT)
        return found;
    for (struct json_cursor cursor = json_each(value); json_next(&cursor);)
        if (json_str_eq(cursor.key, key))
            found = cursor.value;
    return found;
}

struct json_value json_item(struct json_value value, size_t n) {
    struct json_value none = {0};
    if (json_type(value) != JSON_ARRAY || n >= json_entry(value)->count)
        return none;
    struct json_cursor cursor = json_each(value);
    for (size_t i = 0; i <= n; i++)
        json_next(&cursor);
    return cursor.value;
}

struct str json_raw(struct json_value value) {
    if (!value.json)
        return (struct str){0};
    const struct json_entry *entry = json_entry(value);
    const char *at = value.json->text.at + entry->at;
    return entry->type == JSON_STRING ? str_from(at - 1, entry->len + 2) : str_from(at, entry->len);
}

static struct str string_text(struct json_value value) {
    const struct json_entry *entry = json_entry(value);
    return str_from(value.json->text.at + entry->at, entry->len);
}

static unsigned hex4(const char *at) {
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)at[i];
        value = value << 4 | (c <= '9' ? c - 0x30u : (c | 0x20u) - 0x57u);
    }
    return value;
}

static size_t utf8_put(char to[4], unsigned code) {
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (char)(0xc0 | code >> 6);
        to[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        to[0] = (char)(0xe0 | code >> 12);
        to[1] = (char)(0x80 | (code >> 6 & 0x3f));
        to[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | code >> 18);
    to[1] = (char)(0x80 | (code >> 12 & 0x3f));
    to[2] = (char)(0x80 | (code >> 6 & 0x3f));
    to[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* A code point from "uXXXX" or a pair of them; surrogates that stand alone are U+FFFD. Returns how
 * much of `s` it took. */
static size_t unescape_unicode(struct str s, unsigned *ret_code) {
    unsigned code = hex4(s.at + 1);
    if (code < 0xd800 || code > 0xdfff) {
        *ret_code = code;
        return 5;
    }
    *ret_code = 0xfffd;
    if (code >= 0xdc00 || s.len < 11 || s.at[5] != '\\' || s.at[6] != 'u')
        return 5;
    unsigned low = hex4(s.at + 7);
    if (low < 0xdc00 || low > 0xdfff)
        return 5;
    *ret_code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    return 11;
}

/*
 * The next piece of a string's text: a run without escapes (a view), or one escape, decoded into
 * `room`. Takes it off *rest.
 */
static struct str next_piece(struct str *rest, char room[4]) {
    size_t run = str_find(*rest, '\\');
    if (run) {
        struct str piece = {rest->at, run};
        *rest = str_skip(*rest, run);
        return piece;
    }
    struct str s = str_skip(*rest, 1);
    static const char names[] = "bfnrt", bytes[] = "\b\f\n\r\t";
    unsigned code = (unsigned char)s.at[0];
    size_t taken = 1;
    const char *name = strchr(names, s.at[0]);
    if (s.at[0] == 'u')
        taken = unescape_unicode(s, &code);
    else if (name)
        code = (unsigned char)bytes[name - names];
    *rest = str_skip(s, taken);
    return str_from(room, utf8_put(room, code));
}

bool json_str_eq(struct json_value value, struct str text) {
    if (json_type(value) != JSON_STRING)
        return false;
    if (!json_entry(value)->escaped)
        return str_eq(string_text(value), text);
    char room[4];
    for (struct str rest = string_text(value); rest.len;) {
        struct str piece = next_piece(&rest, room);
        if (!str_starts(text, piece))
            return false;
        text = str_skip(text, piece.len);
    }
    return text.len == 0;
}

bool json_str_add(struct json_value value, struct buf *out) {
    if (json_type(value) != JSON_STRING)
        return false;
    char room[4];
    for (struct str rest = string_text(value); rest.len;)
        buf_add_str(out, next_piece(&rest, room));
    return true;
}

struct str json_str(struct json_value value, struct arena *arena) {
    if (json_type(value) != JSON_STRING)
        return (struct str){0};
    struct str rest = string_text(value);
    if (!json_entry(value)->escaped)
        return rest;
    /* No escape is shorter than what it stands for. */
    char *copy = arena_alloc(arena, rest.len + 1), *to = copy, room[4];
    while (rest.len) {
        struct str piece = next_piece(&rest, room);
        memcpy(to, piece.at, piece.len);
        to += piece.len;
    }
    *to = '\0';
    return str_from(copy, (size_t)(to - copy));
}

bool json_bool(struct json_value value, bool *ret_bool) {
    enum json_type type = json_type(value);
    if (type != JSON_TRUE && type != JSON_FALSE)
        return false;
    *ret_bool = type == JSON_TRUE;
    return true;
}

bool json_int(struct json_value value, int64_t *ret_number) {
    if (json_type(value) != JSON_NUMBER || !json_entry(value)->integral)
        return false;
    struct str text = json_raw(value);
    bool negative = text.at[0] == '-';
    uint64_t magnitude;
    if (!str_to_u64(str_skip(text, negative), &magnitude) ||
        magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    *ret_number = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

/* Up to 15 digits and a power of ten up to 22 are exact doubles, so that one operation rounds once
 * (Clinger 1990). */
static bool number_fast(struct str text, double *ret_number) {
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    uint64_t digits = 0;
    size_t count = 0, fraction = 0;
    bool point = false, negative = text.len && text.at[0] == '-';
    for (size_t i = negative; i < text.len; i++) {
        if (text.at[i] == '.' && !point) {
            point = true;
            continue;
        }
        if (text.at[i] < '0' || text.at[i] > '9' || ++count > 15)
            return false;
        digits = digits * 10 + (uint64_t)(text.at[i] - '0');
        fraction += point;
    }
    double value = (double)digits / powers[fraction];
    *ret_number = negative ? -value : value;
    return count > 0;
}

double json_number_double(struct str text) {
    enum { ROOM = 64 };
    double value;
    if (number_fast(text, &value))
        return value;
    char room[ROOM];
    if (text.len < ROOM) {
        memcpy(room, text.at, text.len);
        room[text.len] = '\0';
        return strtod(room, NULL);
    }
    char *copy = str_dup(text);
    value = strtod(copy, NULL);
    free(copy);
    return value;
}

bool json_double(struct json_value value, double *ret_number) {
    if (json_type(value) != JSON_NUMBER)
        return false;
    double number = json_number_double(json_raw(value));
    if (isinf(number))
        return false;
    *ret_number = number;
    return true;
}
