/* Random bytes from the kernel, drawn in blocks per thread, and UUIDs of version 4 (RFC 4122
 * section 4.4). */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *at, size_t len);
uint64_t random_u64(void);

enum { UUID_CHARS = 36 };

/* 36 lower-case characters, no NUL. */
void random_uuid(char ret_text[UUID_CHARS]);

/* The same of bits that the caller has drawn. */
void random_uuid_from(const uint64_t bits[2], char ret_text[UUID_CHARS]);

#endif
