/* `weir stream ls|read|verify`: looks into the streams of a data directory, and into those that a
 * configuration puts on other engines, whether a Weir runs on them or not. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/command_consumers.h"
#include "app/stream_source.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/json_write.h"
#include "base/log.h"
#include "base/utf8.h"
#include "stream/stream.h"

enum { BATCH_RECORDS = 1000, FOLLOW_INTERVAL_MS = 20 };

static int complain(const struct err *err) {
    fprintf(stderr, "weir stream: %s\n", err->text);
    return 1;
}

/* ---- ls ---- */

struct listing {
    const struct stream_source *source;
    bool failed;
};

static void number_text(bool known, uint64_t number, char ret_text[24]) {
    if (known)
        snprintf(ret_text, 24, "%" PRIu64, number);
    else
        strcpy(ret_text, "-");
}

static void time_text(uint64_t ms, char ret_text[CLOCK_RFC3339_BYTES]) {
    if (ms)
        clock_rfc3339(ms, ret_text);
    else
        strcpy(ret_text, "-");
}

static int list_shard(struct stream_view *view, const char *name, unsigned shard, struct err *err) {
    struct stream_view_info info;
    char id[STREAM_SHARD_ID_CHARS], oldest[CLOCK_RFC3339_BYTES], newest[CLOCK_RFC3339_BYTES],
        records[24], bytes[24];
    int code = stream_view_shard(view, shard, &info);
    if (code == ERR_NOT_FOUND)
        return 0;
    stream_shard_id(shard, id);
    if (code)
        return err_set(err, code, "stream %s, %s: %s", name, id, err_text(code));
    number_text(info.counted, info.next - info.first, records);
    number_text(info.sized, info.bytes, bytes);
    time_text(info.first_ms, oldest);
    time_text(info.last_ms, newest);
    printf("%-24s %s %12s %14s  %-24s  %s\n", name, id, records, bytes, oldest, newest);
    return 0;
}

/* What cannot be listed must not hide the others. */
static void list_stream(void *data, const char *name) {
    struct listing *listing = data;
    struct patience *patience = stream_source_wait(listing->source, name);
    struct stream_view *view;
    struct err err;
    int code = stream_source_open(listing->source, name, &view, &err);
    if (!code) {
        unsigned count = stream_view_shard_count(view);
        for (unsigned shard = 0; shard < count && !code; shard++)
            code = list_shard(view, name, shard, &err);
        stream_view_close(view);
    }
    patience_end(patience);
    fflush(stdout); /* Who does not wait for the next one has seen this one. */
    if (code)
        listing->failed = complain(&err);
}

static int list(const struct stream_source *source) {
    struct err err;
    struct listing listing = {.source = source};
    printf("%-24s %-20s %12s %14s  %-24s  %s\n", "STREAM", "SHARD", "RECORDS", "BYTES", "OLDEST",
           "NEWEST");
    int code = stream_source_list(source, list_stream, &listing, &err);
    return code ? complain(&err) : listing.failed;
}

/* ---- read ---- */

struct reading {
    struct stream_view *view;
    const char *from;
    const char *name, *consumer; /* NULL: none, nothing is remembered */
    struct facts *facts;         /* of the consumer */
    int raw, follow;
    uint64_t left; /* records still to print */
};

static bool parse_time(const char *text, uint64_t *ret_ms) {
    struct tm utc = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);
    double fraction = 0;
    if (rest && *rest == '.')
        fraction = strtod(rest, (char **)&rest);
    if (!rest || strcmp(rest, "Z") != 0)
        return false;
    *ret_ms = (uint64_t)timegm(&utc) * 1000 + (uint64_t)(fraction * 1000 + 0.5);
    return true;
}

static struct stream_consumer consumer_of(const struct reading *reading, unsigned shard) {
    return (struct stream_consumer){.stream = str_of(reading->name),
                                    .created_s = stream_view_created_s(reading->view),
                                    .shard = shard,
                                    .name = str_of(reading->consumer)};
}

/* What was printed is remembered once it has left the process; who is killed in between prints it again. */
static int remember(const struct reading *reading, unsigned shard, uint64_t counter,
                    struct err *err) {
    struct stream_consumer consumer = consumer_of(reading, shard);
    struct facts_write *write;
    consumer.counter = counter;
    int code = facts_begin(reading->facts, &write, err);
    if (code)
        return code;
    stream_consumer_put(write, &consumer);
    return facts_commit(write, err);
}

static int seek_to(struct reading *reading, unsigned shard, const struct stream_position *position,
                   struct err *err) {
    int code = stream_view_seek(reading->view, shard, position);
    return code ? err_set(err, code, "shard %u: %s", shard, err_text(code)) : 0;
}

/* Where --from says. A consumer that is new there has this as its position from now on. */
static int seek_from(struct reading *reading, unsigned shard, struct err *err) {
    struct stream_position position = {.from = STREAM_TRIM_HORIZON};
    const char *from = reading->from;
    if (strcmp(from, "LATEST") == 0)
        position.from = STREAM_LATEST;
    else if (parse_time(from, &position.timestamp_ms))
        position.from = STREAM_AT_TIMESTAMP;
    else if (strcmp(from, "TRIM_HORIZON") != 0) {
        position.from = STREAM_AT_COUNTER;
        if (stream_view_sequence_parse(reading->view, shard, str_of(from), &position.counter))
            return err_set(err, ERR_INVALID,
                           "%s is no position of shard %u: TRIM_HORIZON, LATEST, a time such as "
                           "2026-11-23T06:15:00Z, or one of its sequence numbers is wanted",
                           from, shard);
    }
    int code = seek_to(reading, shard, &position, err);
    if (code == 0 && reading->consumer)
        code = remember(reading, shard, stream_view_counter(reading->view, shard), err);
    return code;
}

static int seek(struct reading *reading, unsigned shard, struct err *err) {
    if (!reading->consumer)
        return seek_from(reading, shard, err);
    struct stream_consumer consumer = consumer_of(reading, shard);
    int code = stream_consumer_get(reading->facts, &consumer);
    if (code == ERR_NOT_FOUND)
        return seek_from(reading, shard, err);
    if (code)
        return err_set(err, code, "consumer %s: %s", reading->consumer, err_text(code));
    const struct stream_position position = {.from = STREAM_AT_COUNTER,
                                             .counter = consumer.counter};
    return seek_to(reading, shard, &position, err);
}

static void print_json(struct reading *reading, unsigned shard,
                       const struct stream_record *record) {
    char id[STREAM_SHARD_ID_CHARS], sequence[STREAM_SEQUENCE_CHARS], arrival[CLOCK_RFC3339_BYTES];
    stream_shard_id(shard, id);
    stream_view_sequence_text(reading->view, shard, record->counter, record->arrival_ms, sequence);
    clock_rfc3339(record->arrival_ms, arrival);
    struct buf line = {0};
    buf_printf(&line, "{\"shard\":\"%s\",\"sequence_number\":\"%s\",\"arrival\":\"%s\"", id,
               sequence, arrival);
    json_write_text(&line, "partition_key", record->partition_key);
    bool text = utf8_valid(record->data);
    json_write_key(&line, text ? "data" : "data_base64");
    if (text) {
        json_write_string(&line, record->data);
    } else {
        buf_add_u8(&line, '"');
        base64_write(&line, record->data);
        buf_add_u8(&line, '"');
    }
    buf_add(&line, "}\n", 2);
    fwrite(buf_at(&line), 1, buf_len(&line), stdout);
    buf_done(&line);
}

/* Returns the counter behind the last record printed. */
static uint64_t print_batch(struct reading *reading, unsigned shard,
                            const struct stream_batch *batch) {
    uint64_t next = batch->records[0].counter;
    for (size_t i = 0; i < batch->count && reading->left; i++, reading->left--) {
        next = batch->records[i].counter + 1;
        if (reading->raw) {
            fwrite(batch->records[i].data.at, 1, batch->records[i].data.len, stdout);
            fputc('\n', stdout);
        } else {
            print_json(reading, shard, &batch->records[i]);
        }
    }
    return next;
}

/* What could not be written is told at the end of the command (main.c), and is not remembered. */
static int take_batch(struct reading *reading, unsigned shard, const struct stream_batch *batch,
                      struct err *err) {
    uint64_t next = print_batch(reading, shard, batch);
    if (fflush(stdout) || !reading->consumer)
        return 0;
    return remember(reading, shard, next, err);
}

static void complain_damage(const struct reading *reading, unsigned shard) {
    struct buf text = {0};
    stream_view_damage(reading->view, shard, &text);
    fprintf(stderr, "weir stream: %s\n", buf_cstr(&text));
    buf_done(&text);
}

/* All that is there now. CORRUPT blocks are named and passed over. */
static int drain(struct reading *reading, unsigned shard, bool *ret_any, struct err *err) {
    while (reading->left && !ferror(stdout)) {
        struct stream_batch batch;
        int code = stream_view_next(reading->view, shard, BATCH_RECORDS, &batch);
        if (code == ERR_CORRUPT) {
            complain_damage(reading, shard);
            continue;
        }
        if (code == ERR_AGAIN)
            return 0;
        if (code)
            return err_set(err, code, "stream %s, shard %u: %s", reading->name, shard,
                           err_text(code));
        *ret_any = true;
        code = take_batch(reading, shard, &batch, err);
        if (code)
            return code;
    }
    return 0;
}

static int read_shards(struct reading *reading, unsigned first, unsigned end, struct err *err) {
    for (unsigned shard = first; shard < end; shard++) {
        int code = seek(reading, shard, err);
        if (code)
            return code;
    }
    for (;;) {
        bool any = false;
        for (unsigned shard = first; shard < end; shard++) {
            int code = drain(reading, shard, &any, err);
            if (code)
                return code;
        }
        if (!reading->left || ferror(stdout) || (!any && !reading->follow))
            return 0;
        if (!any)
            usleep(FOLLOW_INTERVAL_MS * 1000);
    }
}

static int read_stream(const struct stream_source *source, const char *name, const char *shard_text,
                       struct reading *reading) {
    struct err err;
    if (reading->consumer && !stream_consumer_name_valid(reading->consumer)) {
        err_set(&err, ERR_INVALID, "--consumer %s: 1 to %d of a-z A-Z 0-9 _ . - are wanted",
                reading->consumer, STREAM_CONSUMER_CHARS_MAX);
        return complain(&err);
    }
    struct patience *patience = stream_source_wait(source, name);
    int code = stream_source_open(source, name, &reading->view, &err);
    patience_end(patience);
    if (code)
        return complain(&err);
    reading->name = name;
    if (reading->consumer && (code = command_facts_open(source->data, &reading->facts, &err))) {
        stream_view_close(reading->view);
        return complain(&err);
    }
    unsigned first = 0, end = stream_view_shard_count(reading->view);
    uint64_t shard;
    if (shard_text && (!str_to_u64(str_of(shard_text), &shard) || shard >= end)) {
        code = err_set(&err, ERR_INVALID, "--shard %s: stream %s has the shards 0 to %u",
                       shard_text, name, end - 1);
    } else {
        if (shard_text) {
            first = (unsigned)shard;
            end = first + 1;
        }
        code = read_shards(reading, first, end, &err);
    }
    stream_view_close(reading->view);
    if (reading->facts)
        facts_close(reading->facts);
    return code ? complain(&err) : 0;
}

static int run(int argc, char **argv, const struct stream_source *source, const char *shard,
               struct reading *reading) {
    if (argc == 2 && strcmp(argv[1], "ls") == 0)
        return list(source);
    if (argc == 3 && strcmp(argv[1], "read") == 0)
        return read_stream(source, argv[2], shard, reading);
    if (argc > 1 && strcmp(argv[1], "consumers") == 0)
        return command_consumers(source, argc - 2, argv + 2);
    if (argc <= 3 && argc > 1 && strcmp(argv[1], "verify") == 0)
        return command_stream_verify(argc == 3 ? argv[2] : source->data);
    fputs("usage: weir stream ls | read NAME | consumers ls|rm | verify [DIR]; `weir help` says "
          "more\n",
          stderr);
    return EXIT_USAGE;
}

/* Engines that are away hold nothing up: nothing that has to be undone is under way. */
static void on_interrupt(int number) {
    _exit(128 + number);
}

/* Who has it ignored, such as a job in the background, keeps that. */
static void end_on_interrupt(void) {
    struct sigaction present, action = {.sa_handler = on_interrupt};
    if (sigaction(SIGINT, NULL, &present) == 0 && present.sa_handler != SIG_IGN)
        sigaction(SIGINT, &action, NULL);
}

int command_stream(int argc, char **argv) {
    const char *data = NULL, *config = NULL, *shard = NULL, *count = NULL;
    struct stream_source source;
    struct err err;
    struct reading reading = {.from = "TRIM_HORIZON", .left = UINT64_MAX};
    const struct command_flag flags[] = {{"data", 'd', &data, NULL},
                                         {"config", 'c', &config, NULL},
                                         {"shard", 's', &shard, NULL},
                                         {"from", 'f', &reading.from, NULL},
                                         {"consumer", 0, &reading.consumer, NULL},
                                         {"count", 'n', &count, NULL},
                                         {"follow", 0, NULL, &reading.follow},
                                         {"raw", 0, NULL, &reading.raw},
                                         {0}};
    if (!command_flags(&argc, argv, flags))
        return EXIT_USAGE;
    if (count && !str_to_u64(str_of(count), &reading.left)) {
        fprintf(stderr, "weir stream: --count %s: a number is wanted\n", count);
        return EXIT_USAGE;
    }
    log_setup(LOG_WARN, LOG_TEXT);
    end_on_interrupt();
    int code = stream_source_init(&source, data, config, &err);
    int exit_status = code ? complain(&err) : run(argc, argv, &source, shard, &reading);
    stream_source_done(&source);
    return exit_status;
}
