/* What every cmocka test includes first. */
#ifndef BASE_TEST_H
#define BASE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"

#define assert_str(actual, expected)                                                               \
    do {                                                                                           \
        struct str actual_ = (actual), expected_ = str_of(expected);                               \
        assert_int_equal(actual_.len, expected_.len);                                              \
        if (actual_.len)                                                                           \
            assert_memory_equal(actual_.at, expected_.at, actual_.len);                            \
    } while (0)

#endif
