/*
 * Where a result must be rounded: IEEE 754 decimal128 by Intel's library, half to even. Its binary
 * encoding holds what a struct number holds, so going there and back is moving bits:
 *
 *   bit 127        sign
 *   bits 113..126  exponent + 6176
 *   bits 0..112    coefficient, below 10^34
 *
 * Infinities and NaNs have ones in both bits 125 and 126.
 */
#include <bid_conf.h>
#include <bid_functions.h>

#include "rule/number.h"

enum { EXPONENT_BIAS = 6176, EXPONENT_SHIFT = 49, ROUND_HALF_EVEN = 0 };

static BID_UINT128 pack(struct number number) {
    bool negative = number.coefficient < 0;
    unsigned __int128 magnitude =
        (unsigned __int128)(negative ? -number.coefficient : number.coefficient);
    BID_UINT128 packed;
    packed.w[0] = (uint64_t)magnitude;
    packed.w[1] = (uint64_t)(magnitude >> 64) |
                  (uint64_t)(number.exponent + EXPONENT_BIAS) << EXPONENT_SHIFT |
                  (uint64_t)negative << 63;
    return packed;
}

static bool unpack(BID_UINT128 packed, struct number *ret_number) {
    uint64_t high = packed.w[1];
    if ((high >> 61 & 3) == 3)
        return false;
    __int128 magnitude =
        (__int128)(high & ((1ull << EXPONENT_SHIFT) - 1)) << 64 | (__int128)packed.w[0];
    ret_number->coefficient = high >> 63 ? -magnitude : magnitude;
    ret_number->exponent = (int)(high >> EXPONENT_SHIFT & 0x3fff) - EXPONENT_BIAS;
    return true;
}

bool rule_decimal_operate(enum number_operation operation, struct number a, struct number b,
                          struct number *ret_number) {
    BID_UINT128 left = pack(a), right = pack(b);
    _IDEC_flags ignored = 0;
    switch (operation) {
    case NUMBER_ADD:
        return unpack(bid128_add(left, right, ROUND_HALF_EVEN, &ignored), ret_number);
    case NUMBER_MULTIPLY:
        return unpack(bid128_mul(left, right, ROUND_HALF_EVEN, &ignored), ret_number);
    case NUMBER_DIVIDE:
        return unpack(bid128_div(left, right, ROUND_HALF_EVEN, &ignored), ret_number);
    case NUMBER_MODULO:
        return unpack(bid128_fmod(left, right, &ignored), ret_number);
    }
    return false;
}
