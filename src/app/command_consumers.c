/* Named consumers on the command line: where they stand, and `weir stream consumers ls|rm`. Positions
 * lie in the small facts of the data directory, which may be open in a running Weir too. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/command_consumers.h"
#include "base/clock.h"
#include "base/mem.h"

static const size_t facts_bytes_max = (size_t)1 << 30; /* as app.c has it */

static int complain(const char *what) {
    fprintf(stderr, "weir stream: %s\n", what);
    return 1;
}

int command_facts_open(const char *data, struct facts **ret_facts, struct err *err) {
    return facts_open(data, facts_bytes_max, ret_facts, err);
}

/* ---- ls ---- */

enum { LISTED_MAX = 100000 };

struct listed {
    char *stream, *name;
    uint64_t created_s;
};

struct listing {
    const char *stream; /* NULL: all */
    struct listed *items;
    size_t count;
};

static bool on_position(void *data, const struct stream_consumer *consumer) {
    struct listing *listing = data;
    if (listing->stream && !str_eq(consumer->stream, str_of(listing->stream)))
        return true;
    for (size_t i = 0; i < listing->count; i++)
        if (str_eq(consumer->name, str_of(listing->items[i].name)) &&
            str_eq(consumer->stream, str_of(listing->items[i].stream)) &&
            consumer->created_s == listing->items[i].created_s)
            return true;
    listing->items = xrealloc(listing->items, (listing->count + 1) * sizeof *listing->items);
    listing->items[listing->count++] =
        (struct listed){str_dup(consumer->stream), str_dup(consumer->name), consumer->created_s};
    return listing->count < LISTED_MAX;
}

struct lag {
    bool counted;
    uint64_t records, oldest_ms;
};

static void add_shard(struct stream_view *view, struct facts *facts, const struct listed *item,
                      unsigned shard, struct lag *lag) {
    struct stream_view_info info;
    if (stream_view_shard(view, shard, &info))
        return;
    lag->counted &= info.counted;
    if (info.next == info.first)
        return;
    struct stream_consumer at = {.stream = str_of(item->stream),
                                 .created_s = item->created_s,
                                 .shard = shard,
                                 .name = str_of(item->name)};
    stream_consumer_get(facts, &at);
    if (at.counter >= info.next)
        return;
    const struct stream_position position = {
        .from = STREAM_AT_COUNTER, .counter = at.counter > info.first ? at.counter : info.first};
    struct stream_batch batch;
    lag->records += info.next - position.counter;
    if (stream_view_seek(view, shard, &position) == 0 &&
        stream_view_next(view, shard, 1, &batch) == 0 &&
        batch.records[0].arrival_ms < lag->oldest_ms)
        lag->oldest_ms = batch.records[0].arrival_ms;
}

static void print(const struct stream_source *source, struct facts *facts,
                  const struct listed *item) {
    struct stream_view *view;
    struct lag lag = {.counted = true, .oldest_ms = UINT64_MAX};
    uint64_t now_ms = clock_wall_ms();
    struct patience *patience = stream_source_wait(source, item->stream);
    if (stream_source_open(source, item->stream, &view, NULL)) {
        patience_end(patience);
        return;
    }
    if (stream_view_created_s(view) == item->created_s) {
        for (unsigned shard = 0; shard < stream_view_shard_count(view); shard++)
            add_shard(view, facts, item, shard, &lag);
        if (lag.counted)
            printf("%-24s %-24s %14" PRIu64 " %14" PRIu64 "\n", item->stream, item->name,
                   lag.records, lag.oldest_ms < now_ms ? (now_ms - lag.oldest_ms) / 1000 : 0);
        else
            printf("%-24s %-24s %14s %14s\n", item->stream, item->name, "-", "-");
    }
    stream_view_close(view);
    patience_end(patience);
}

static int list(const struct stream_source *source, struct facts *facts, const char *stream) {
    struct listing listing = {.stream = stream};
    int code = stream_consumer_each(facts, on_position, &listing);
    if (!code)
        printf("%-24s %-24s %14s %14s\n", "STREAM", "CONSUMER", "RECORDS BEHIND", "SECONDS BEHIND");
    for (size_t i = 0; i < listing.count; i++) {
        if (!code)
            print(source, facts, &listing.items[i]);
        free(listing.items[i].stream);
        free(listing.items[i].name);
    }
    free(listing.items);
    return code ? complain(err_text(code)) : 0;
}

/* ---- rm ---- */

struct removal {
    const char *stream, *name;
    struct stream_consumer *found;
    size_t count;
};

static bool on_candidate(void *data, const struct stream_consumer *consumer) {
    struct removal *removal = data;
    if (!str_eq(consumer->stream, str_of(removal->stream)) ||
        !str_eq(consumer->name, str_of(removal->name)))
        return true;
    removal->found = xrealloc(removal->found, (removal->count + 1) * sizeof *removal->found);
    struct stream_consumer *copy = &removal->found[removal->count++];
    *copy = *consumer;
    copy->stream = str_of(removal->stream);
    copy->name = str_of(removal->name);
    return true;
}

static int forget(struct facts *facts, const struct removal *removal, struct err *err) {
    struct facts_write *write;
    int code = facts_begin(facts, &write, err);
    if (code)
        return code;
    for (size_t i = 0; i < removal->count; i++)
        stream_consumer_remove(write, &removal->found[i]);
    return facts_commit(write, err);
}

static int drop(struct facts *facts, const char *stream, const char *name) {
    struct removal removal = {.stream = stream, .name = name};
    struct err err = {0};
    int code = stream_consumer_each(facts, on_candidate, &removal);
    if (!code && removal.count == 0)
        code = err_set(&err, ERR_NOT_FOUND, "stream %s has no consumer %s", stream, name);
    if (!code)
        code = forget(facts, &removal, &err);
    free(removal.found);
    return code ? complain(err.text[0] ? err.text : err_text(code)) : 0;
}

int command_consumers(const struct stream_source *source, int argc, char **argv) {
    bool lists = argc >= 1 && argc <= 2 && strcmp(argv[0], "ls") == 0;
    bool removes = argc == 3 && strcmp(argv[0], "rm") == 0;
    struct facts *facts;
    struct err err;
    if (!lists && !removes) {
        fputs("usage: weir stream consumers ls [STREAM] | rm STREAM CONSUMER\n", stderr);
        return EXIT_USAGE;
    }
    if (command_facts_open(source->data, &facts, &err))
        return complain(err.text);
    int code =
        lists ? list(source, facts, argc == 2 ? argv[1] : NULL) : drop(facts, argv[1], argv[2]);
    facts_close(facts);
    return code;
}
