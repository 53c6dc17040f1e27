/* What a process may put into a request: first line method, second path, the rest an error type. */
#include "function/runtime_api.h"

#include <string.h>

#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    struct str rest;
    struct str method = str_cut(str_from(at, len), '\n', &rest);
    struct str path = str_cut(rest, '\n', &rest);
    struct function_route route = function_route_of(method, path);
    ASSERT(str_find(route.request_id, '/') == route.request_id.len);
    char type[FUNCTION_ERROR_TYPE_CHARS];
    function_error_type_clean(rest, "Function.Unknown", type);
    ASSERT(strspn(type, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.") == strlen(type));
    ASSERT(strlen(type) >= strlen("Runtime.Xy"));
    return 0;
}
