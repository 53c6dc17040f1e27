/*
 * How a connection of the load generator begins: blocking, on 127.0.0.1, one packet and one answer
 * at a time. Every failure ends the program by fail().
 */
#ifndef BENCH_HANDSHAKE_H
#define BENCH_HANDSHAKE_H

#include <stdbool.h>
#include <stdint.h>

enum { HANDSHAKE_ID_BYTES_MAX = 63, HANDSHAKE_FILTER_BYTES_MAX = 255 };

/* Prints a sentence on standard error and ends the program with exit code 1. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Connects and waits for an accepting CONNACK. Returns the socket. */
int handshake_connect(uint16_t port, const char *client_id, bool v5);

/* Subscribes and waits for the SUBACK that grants exactly `qos`. */
void handshake_subscribe(int fd, const char *filter, uint8_t qos, bool v5);

#endif
