/* Configuration errors at the place of the key that is wrong; settings that were made without a
 * document (head.conf is NULL) give the bare sentence. */
#ifndef DELIVERY_PLACE_H
#define DELIVERY_PLACE_H

#include "base/option.h"

int place_error(const struct option_head *head, const char *key, struct err *err, int code,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
