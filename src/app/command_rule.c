/* `weir rule test`: what a statement makes of a message, without a pipeline. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "base/buf.h"
#include "rule/rule.h"
#include "rule/value.h"

enum { PAYLOAD_BYTES_MAX = 16 * 1024 * 1024 };

/* The whole file; "-" is standard input. */
static int read_payload(const char *path, struct buf *payload) {
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    size_t got = 1;
    while (file && got && buf_len(payload) <= PAYLOAD_BYTES_MAX) {
        got = fread(buf_room(payload, 65536), 1, 65536, file);
        buf_added(payload, got);
    }
    int error = !file || ferror(file) ? errno : buf_len(payload) > PAYLOAD_BYTES_MAX ? EFBIG : 0;
    if (file && file != stdin)
        fclose(file);
    if (error)
        fprintf(stderr, "weir rule: %s: %s\n", path, strerror(error));
    return error ? -1 : 0;
}

static int usage(void) {
    fputs("usage: weir rule test --sql SQL --topic TOPIC [--payload FILE|-] "
          "[--sql-version 2015-10-08|2016-03-23]\n",
          stderr);
    return EXIT_USAGE;
}

int command_rule(int argc, char **argv) {
    const char *sql = NULL, *topic = NULL, *payload_path = NULL, *version = "2015-10-08";
    const struct command_flag flags[] = {{"sql-version", 0, &version, NULL},
                                         {"sql", 's', &sql, NULL},
                                         {"topic", 't', &topic, NULL},
                                         {"payload", 'p', &payload_path, NULL},
                                         {0}};
    if (!command_flags(&argc, argv, flags))
        return EXIT_USAGE;
    bool old = strcmp(version, "2015-10-08") == 0;
    if (argc != 2 || strcmp(argv[1], "test") != 0 || !sql || !topic ||
        (!old && strcmp(version, "2016-03-23") != 0))
        return usage();
    struct buf payload = {0}, out = {0};
    if (payload_path && read_payload(payload_path, &payload) < 0) {
        buf_done(&payload);
        return 1;
    }
    struct rule_question question = {
        .sql = str_of(sql),
        .sql_version = old ? RULE_VERSION_2015_10_08 : RULE_VERSION_2016_03_23,
        .topic = str_of(topic),
        .payload = buf_str(&payload),
        .environment = &rule_environment_default,
    };
    bool valid = rule_explain(&question, &out);
    puts(buf_cstr(&out));
    buf_done(&payload);
    buf_done(&out);
    return valid ? 0 : 1;
}
