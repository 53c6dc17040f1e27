/*
 * RFC 1319. The text is padded with n bytes of value n to blocks of 16 bytes; a checksum block
 * follows; each block is mixed into a state of 48 bytes, of which the first 16 are the digest.
 */
#include "rule/md2.h"

#include <string.h>

enum { BLOCK_BYTES = 16, STATE_BYTES = 48, ROUNDS = 18 };

/* A permutation of all bytes, made from the digits of pi. */
static const uint8_t substitution[256] = {
    41,  46,  67,  201, 162, 216, 124, 1,   61,  54,  84,  161, 236, 240, 6,   19,  98,  167, 5,
    243, 192, 199, 115, 140, 152, 147, 43,  217, 188, 76,  130, 202, 30,  155, 87,  60,  253, 212,
    224, 22,  103, 66,  111, 24,  138, 23,  229, 18,  190, 78,  196, 214, 218, 158, 222, 73,  160,
    251, 245, 142, 187, 47,  238, 122, 169, 104, 121, 145, 21,  178, 7,   63,  148, 194, 16,  137,
    11,  34,  95,  33,  128, 127, 93,  154, 90,  144, 50,  39,  53,  62,  204, 231, 191, 247, 151,
    3,   255, 25,  48,  179, 72,  165, 181, 209, 215, 94,  146, 42,  172, 86,  170, 198, 79,  184,
    56,  210, 150, 164, 125, 182, 118, 252, 107, 226, 156, 116, 4,   241, 69,  157, 112, 89,  100,
    113, 135, 32,  134, 91,  207, 101, 230, 45,  168, 2,   27,  96,  37,  173, 174, 176, 185, 246,
    28,  70,  97,  105, 52,  64,  126, 15,  85,  71,  163, 35,  221, 81,  175, 58,  195, 92,  249,
    206, 186, 197, 234, 38,  44,  83,  13,  110, 133, 40,  132, 9,   211, 223, 205, 244, 65,  129,
    77,  82,  106, 220, 55,  200, 108, 193, 171, 250, 36,  225, 123, 8,   12,  189, 177, 74,  120,
    136, 149, 139, 227, 99,  232, 109, 233, 203, 213, 254, 59,  0,   29,  57,  242, 239, 183, 14,
    102, 88,  208, 228, 166, 119, 114, 248, 235, 117, 75,  10,  49,  68,  80,  180, 143, 237, 31,
    26,  219, 153, 141, 51,  159, 17,  131, 20};

struct state {
    uint8_t bytes[STATE_BYTES], checksum[BLOCK_BYTES];
};

static void mix(struct state *state, const uint8_t *block) {
    for (int i = 0; i < BLOCK_BYTES; i++) {
        state->bytes[BLOCK_BYTES + i] = block[i];
        state->bytes[2 * BLOCK_BYTES + i] = state->bytes[i] ^ block[i];
    }
    uint8_t t = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < STATE_BYTES; i++)
            t = state->bytes[i] ^= substitution[t];
        t = (uint8_t)(t + round);
    }
}

static void add_block(struct state *state, const uint8_t *block) {
    uint8_t last = state->checksum[BLOCK_BYTES - 1];
    for (int i = 0; i < BLOCK_BYTES; i++)
        last = state->checksum[i] ^= substitution[block[i] ^ last];
    mix(state, block);
}

void md2(struct str text, uint8_t ret_digest[MD2_BYTES]) {
    struct state state = {0};
    uint8_t block[BLOCK_BYTES];
    for (; text.len >= BLOCK_BYTES; text = str_skip(text, BLOCK_BYTES)) {
        memcpy(block, text.at, BLOCK_BYTES);
        add_block(&state, block);
    }
    size_t padding = BLOCK_BYTES - text.len;
    memset(block, (int)padding, sizeof block);
    if (text.len)
        memcpy(block, text.at, text.len);
    add_block(&state, block);
    memcpy(block, state.checksum, sizeof block);
    mix(&state, block);
    memcpy(ret_digest, state.bytes, MD2_BYTES);
}
