/* `weir passwd`: a line from standard input becomes the password_hash of a user in the
 * configuration. */
#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "mqtt/mqtt.h"

int command_passwd(int argc, char **argv) {
    char password[1024], hash[MQTT_PASSWORD_HASH_CHARS];
    const char *text = NULL;
    uint64_t iterations = MQTT_PASSWORD_ITERATIONS;
    const struct command_flag flags[] = {{"iterations", 'i', &text, NULL}, {0}};
    if (!command_flags(&argc, argv, flags) || argc != 1) {
        fputs("usage: weir passwd [--iterations N] < FILE_WITH_PASSWORD\n", stderr);
        return EXIT_USAGE;
    }
    if (text && (!str_to_u64(str_of(text), &iterations) || iterations < 1 ||
                 iterations > MQTT_PASSWORD_ITERATIONS_MAX)) {
        fprintf(stderr, "weir passwd: --iterations %s: a number from 1 to %d is wanted\n", text,
                MQTT_PASSWORD_ITERATIONS_MAX);
        return EXIT_USAGE;
    }
    if (!fgets(password, sizeof password, stdin) || strcspn(password, "\r\n") == 0) {
        fputs("weir passwd: a password is wanted on standard input\n", stderr);
        return 1;
    }
    mqtt_password_hash((struct str){password, strcspn(password, "\r\n")}, (unsigned)iterations,
                       hash);
    puts(hash);
    return 0;
}
