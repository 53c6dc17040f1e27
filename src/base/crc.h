/* CRC-32C (Castagnoli, reflected, as iSCSI and ext4 use it). */
#ifndef BASE_CRC_H
#define BASE_CRC_H

#include <stddef.h>
#include <stdint.h>

/* Start with 0; feed the result of one piece into the next. */
uint32_t crc32c(uint32_t crc, const void *at, size_t len);

#endif
