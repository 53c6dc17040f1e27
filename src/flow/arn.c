#include "flow/arn.h"

struct str arn_function_name(struct str arn) {
    static const struct str word = {"function:", 9};
    struct str rest = arn;
    for (struct str at = arn; at.len; at = str_skip(at, 1))
        if (str_starts(at, word)) {
            rest = str_skip(at, word.len);
            break;
        }
    return str_cut(rest, ':', &rest);
}
