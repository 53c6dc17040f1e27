#include "function/batch_response.h"

#include "base/err.h"

static bool take_item(struct json_value item, bool (*on_item)(void *data, struct str identifier),
                      void *data) {
    struct arena arena = {0};
    struct json_value identifier = json_member(item, STR("itemIdentifier"));
    struct str text = json_str(identifier, &arena);
    bool good = text.len && on_item(data, text);
    arena_done(&arena);
    return good;
}

int function_batch_response_parse(struct json *json, struct str payload,
                                  bool (*on_item)(void *data, struct str identifier), void *data) {
    if (!str_trim(payload).len)
        return 0;
    if (json_parse(json, payload))
        return ERR_INVALID;
    struct json_value root = json_root(json);
    if (json_type(root) == JSON_NULL)
        return 0;
    if (json_type(root) != JSON_OBJECT)
        return ERR_INVALID;
    struct json_value list = json_member(root, STR("batchItemFailures"));
    if (json_type(list) == JSON_ABSENT || json_type(list) == JSON_NULL)
        return 0;
    if (json_type(list) != JSON_ARRAY)
        return ERR_INVALID;
    for (struct json_cursor cursor = json_each(list); json_next(&cursor);)
        if (!take_item(cursor.value, on_item, data))
            return ERR_INVALID;
    return 0;
}
