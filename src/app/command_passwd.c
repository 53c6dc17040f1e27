/* `weir passwd`: a line from standard input becomes the password_hash of a user in the
 * configuration. */
#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "mqtt/mqtt.h"

int command_passwd(int argc, char **argv) {
    char password[1024], hash[MQTT_PASSWORD_HASH_CHARS];
    if (argc != 1) {
        fputs("usage: weir passwd < FILE_WITH_PASSWORD\n", stderr);
        return EXIT_USAGE;
    }
    if (!fgets(password, sizeof password, stdin) || strcspn(password, "\r\n") == 0) {
        fputs("weir passwd: a password is wanted on standard input\n", stderr);
        return 1;
    }
    mqtt_password_hash((struct str){password, strcspn(password, "\r\n")}, MQTT_PASSWORD_ITERATIONS,
                       hash);
    puts(hash);
    return 0;
}
