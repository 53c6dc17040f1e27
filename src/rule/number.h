/*
 * Numbers between text and machine words. Whole numbers are int64, all others double: the only place, with operator.c, that
 * knows so.
 */
#ifndef RULE_NUMBER_H
#define RULE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/* The pattern by which the dialect converts a String: ^-?\d+(\.\d+)?(E-?\d+)?$ with E in either case. */
bool rule_number_valid(struct str text);

/* Digits alone with an optional minus, within int64. */
bool rule_number_to_int(struct str text, int64_t *ret_integer);

/* Whether a number, as JSON or the dialect writes it, has no fraction once its exponent is applied: told from the digits, since
 * a double may have lost the fraction. */
bool rule_number_is_whole(struct str text);

void rule_number_write_int(struct buf *out, int64_t integer);

/*
 * A finite double in the fewest digits that give it back: plain between 1E-7 and 1E21, else "1.5E-9"; both are numbers for JSON
 * and for the dialect's own pattern. With `point` a whole one ends in ".0".
 */
void rule_number_write_double(struct buf *out, double number, bool point);

#endif
