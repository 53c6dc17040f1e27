/* MD2 (RFC 1319), which OpenSSL 3 has not; for the dialect's md2() and nothing that must be safe. */
#ifndef RULE_MD2_H
#define RULE_MD2_H

#include <stdint.h>

#include "base/str.h"

enum { MD2_BYTES = 16 };

void md2(struct str text, uint8_t ret_digest[MD2_BYTES]);

#endif
