/* For tests: the whole API over a real log in a directory of its own, and a blocking client. */
#ifndef AWS_TEST_WORLD_H
#define AWS_TEST_WORLD_H

#include "base/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "aws/aws.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "http/sigv4.h"
#include "io/file.h"

enum { WORLD_SECONDS_MAX = 60, WORLD_PEER_SECONDS = 20 };

struct world {
    char root[40];
    struct loop_thread thread;
    struct facts *facts;
    struct stream_log *log;
    struct stream_writer *writer;
    struct aws_config config;
    struct aws_credential credential;
    struct option_items credentials;
    const char *configured;          /* name of a stream that the "configuration" has */
    const struct rest_service *rest; /* NULL: none */
    struct aws *aws;
    struct sockaddr_storage address;
    struct err err;
    int code;
    _Atomic bool is_closed;
    /* of the last answer */
    int status;
    struct buf answer; /* head and body */
    struct str body;
    struct json json;
    struct arena arena;
};

static inline bool world_is_configured(void *data, struct str stream) {
    struct world *world = data;
    return world->configured && str_eq(stream, str_of(world->configured));
}

static inline void world_do_open(void *data) {
    struct world *world = data;
    world->writer = stream_writer_new(world->log, world->thread.loop);
    const struct aws_services services = {.log = world->log,
                                          .writer = world->writer,
                                          .facts = world->facts,
                                          .credentials = &world->credentials,
                                          .is_configured = world_is_configured,
                                          .data = world,
                                          .rest = {world->rest},
                                          .rest_count = world->rest != NULL};
    world->code = aws_open(world->thread.loop, &world->config, &services, &world->address,
                           &world->aws, &world->err);
}

/* Opens the log and the API on the directory that is there. */
static inline void world_start(struct world *world) {
    struct stream_log_config config = {.directory = world->root, .sync = STREAM_SYNC_ALWAYS};
    struct stream *stream;
    world->code = facts_open(world->root, 1 << 26, &world->facts, &world->err);
    if (!world->code)
        world->code = stream_log_open(&config, &world->log, &world->err);
    const struct stream_config fixed = {
        .name = world->configured, .kind = STREAM_DATA, .shard_count = 1, .retention_ms = 86400000};
    if (!world->code && world->configured)
        world->code = stream_open(world->log, &fixed, &stream, &world->err);
    if (!world->code)
        world->code = stream_open_rest(world->log, &world->err);
    if (world->code)
        fail_msg("%s", world->err.text);
    loop_thread_start(&world->thread, "service");
    loop_call(world->thread.loop, world_do_open, world);
    if (world->code)
        fail_msg("%s", world->err.text);
}

static inline void world_on_closed(void *data) {
    ((struct world *)data)->is_closed = true;
}

static inline void world_do_close(void *data) {
    struct world *world = data;
    aws_close(world->aws, world_on_closed, world);
}

static inline void world_do_free_writer(void *data) {
    struct world *world = data;
    stream_writer_free(world->writer);
}

static inline void world_stop(struct world *world) {
    world->is_closed = false;
    loop_call(world->thread.loop, world_do_close, world);
    for (int i = 0; !world->is_closed && i < WORLD_PEER_SECONDS * 1000; i++)
        usleep(1000);
    assert_true(world->is_closed);
    loop_call(world->thread.loop, world_do_free_writer, world);
    loop_thread_stop(&world->thread);
    stream_log_close(world->log);
    facts_close(world->facts);
}

static inline struct world *world_new(enum aws_auth auth, const char *configured) {
    struct world *world = xcalloc(1, sizeof *world);
    alarm(WORLD_SECONDS_MAX);
    snprintf(world->root, sizeof world->root, "/tmp/weir-aws-XXXXXX");
    assert_non_null(mkdtemp(world->root));
    world->config = (struct aws_config){
        .bind = "127.0.0.1:0", .auth = (int)auth, .region = "us-east-1", .account = "000000000000"};
    world->credential =
        (struct aws_credential){.access_key_id = "AKIAIOSFODNN7EXAMPLE",
                                .secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
    world->credentials = (struct option_items){&world->credential, 1};
    world->configured = configured;
    return world;
}

static inline struct world *world_begin(enum aws_auth auth, const char *configured) {
    struct world *world = world_new(auth, configured);
    world_start(world);
    return world;
}

static inline void world_restart(struct world *world) {
    world_stop(world);
    world_start(world);
}

static inline void world_end(struct world *world) {
    world_stop(world);
    file_remove_tree(world->root, NULL);
    buf_done(&world->answer);
    json_done(&world->json);
    arena_done(&world->arena);
    free(world);
}

/* ---- the client ---- */

static inline int world_connect(const struct world *world) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval timeout = {.tv_sec = WORLD_PEER_SECONDS};
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    const struct sockaddr *address = (const struct sockaddr *)&world->address;
    assert_int_equal(connect(fd, address, sizeof(struct sockaddr_in)), 0);
    return fd;
}

static inline void world_write(int fd, struct str text) {
    while (text.len) {
        ssize_t sent = send(fd, text.at, text.len, MSG_NOSIGNAL);
        assert_true(sent > 0);
        text = str_skip(text, (size_t)sent);
    }
}

/* Reads to the end of the stream. */
static inline void world_read_all(int fd, struct buf *text) {
    ssize_t got;
    while ((got = recv(fd, buf_room(text, 65536), 65536, 0)) > 0)
        buf_added(text, (size_t)got);
    assert_true(got == 0 || errno == ECONNRESET);
}

/* Sends a request as it stands and takes the answer apart. Returns its status. */
static inline int world_exchange(struct world *world, struct str request) {
    int fd = world_connect(world);
    world_write(fd, request);
    buf_clear(&world->answer);
    world_read_all(fd, &world->answer);
    close(fd);
    const char *text = buf_cstr(&world->answer);
    assert_int_equal(sscanf(text, "HTTP/1.1 %d", &world->status), 1);
    const char *body = strstr(text, "\r\n\r\n");
    assert_non_null(body);
    world->body = str_from(body + 4, buf_len(&world->answer) - (size_t)(body + 4 - text));
    world->json.count = 0;
    arena_reset(&world->arena);
    (void)json_parse(&world->json, world->body);
    return world->status;
}

/* A request signed with the world's credential for a service. `operation`: NULL, or of Kinesis. */
static inline int world_exchange_signed(struct world *world, const char *service,
                                        const char *method, const char *path, const char *operation,
                                        struct str body) {
    char date[SIGV4_DATE_CHARS], hash[65], target[80];
    struct buf request = {0};
    snprintf(target, sizeof target, "Kinesis_20131202.%s", operation ? operation : "");
    sigv4_date(clock_wall_ms(), date);
    sigv4_sha256_hex(body, hash);
    const struct http_header all[] = {{STR("content-type"), STR("application/x-amz-json-1.1")},
                                      {STR("host"), STR("x")},
                                      {STR("x-amz-date"), str_of(date)},
                                      {STR("x-amz-target"), str_of(target)}};
    const struct http_header *headers = operation ? all : all + 1;
    const struct sigv4_request signing = {.method = str_of(method),
                                          .path = str_of(path),
                                          .headers = headers,
                                          .header_count = operation ? 4 : 2,
                                          .payload_hash = str_of(hash),
                                          .region = STR("eu-west-1"),
                                          .service = str_of(service),
                                          .amz_date = str_of(date)};
    buf_printf(&request, "%s %s HTTP/1.1\r\nConnection: close\r\nContent-Length: %zu\r\n", method,
               path, body.len);
    for (size_t i = 0; i < signing.header_count; i++)
        buf_printf(&request, "%.*s: %.*s\r\n", STR_ARG(headers[i].name), STR_ARG(headers[i].value));
    buf_add_str(&request, STR("Authorization: "));
    sigv4_authorization(&request, &signing, str_of(world->credential.access_key_id),
                        str_of(world->credential.secret_access_key));
    buf_printf(&request, "\r\n\r\n%.*s", STR_ARG(body));
    int status = world_exchange(world, buf_str(&request));
    buf_done(&request);
    return status;
}

static inline int world_post(struct world *world, const char *target, const char *type,
                             struct str body) {
    struct buf request = {0};
    buf_printf(&request,
               "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n",
               body.len);
    if (type)
        buf_printf(&request, "Content-Type: %s\r\n", type);
    if (target)
        buf_printf(&request, "X-Amz-Target: %s\r\n", target);
    buf_add_str(&request, STR("\r\n"));
    buf_add_str(&request, body);
    int status = world_exchange(world, buf_str(&request));
    buf_done(&request);
    return status;
}

/* An operation with an input whose double quotes are written as single ones. */
static inline int world_call(struct world *world, const char *operation, const char *input) {
    char target[80];
    char *body = xstrdup(input);
    for (char *c = body; *c; c++)
        if (*c == '\'')
            *c = '"';
    snprintf(target, sizeof target, "Kinesis_20131202.%s", operation);
    int status = world_post(world, target, "application/x-amz-json-1.1", str_of(body));
    free(body);
    return status;
}

static inline void world_ok(struct world *world, const char *operation, const char *input) {
    if (world_call(world, operation, input) != 200)
        fail_msg("%s %s: %.*s", operation, input, STR_ARG(world->body));
}

/* A new world with a stream "s" of one shard. */
static inline struct world *world_with_stream(void) {
    struct world *world = world_begin(AWS_AUTH_OPEN, NULL);
    world_ok(world, "CreateStream", "{'StreamName':'s','ShardCount':1}");
    return world;
}

/* The value at a path such as "Records.0.ShardId". */
static inline struct json_value world_value(struct world *world, const char *path) {
    struct json_value value = json_root(&world->json);
    for (struct str rest = str_of(path); rest.len;) {
        struct str word = str_cut(rest, '.', &rest);
        uint64_t item;
        value = str_to_u64(word, &item) ? json_item(value, (size_t)item) : json_member(value, word);
    }
    return value;
}

static inline struct str world_text(struct world *world, const char *path) {
    return json_str(world_value(world, path), &world->arena);
}

/* A text that outlives the next call. */
static inline char *world_keep(struct world *world, const char *path) {
    struct str text = world_text(world, path);
    if (!text.len)
        fail_msg("no %s in %.*s", path, STR_ARG(world->body));
    return str_dup(text);
}

static inline int64_t world_number(struct world *world, const char *path) {
    int64_t number = -1;
    if (!json_int(world_value(world, path), &number))
        fail_msg("no number %s in %.*s", path, STR_ARG(world->body));
    return number;
}

static inline size_t world_count(struct world *world, const char *path) {
    return json_count(world_value(world, path));
}

static inline bool world_has(struct world *world, const char *path) {
    return json_type(world_value(world, path)) != JSON_ABSENT;
}

#define assert_text(world, path, expected)                                                         \
    do {                                                                                           \
        struct str text_ = world_text(world, path);                                                \
        if (!str_eq(text_, str_of(expected)))                                                      \
            fail_msg("%s is \"%.*s\", not \"%s\" in %.*s", path, STR_ARG(text_), expected,         \
                     STR_ARG((world)->body));                                                      \
    } while (0)

/* The call fails with that type and text. */
#define assert_refused(world, operation, input, type, text)                                        \
    do {                                                                                           \
        assert_int_equal(world_call(world, operation, input), 400);                                \
        assert_text(world, "__type", type);                                                        \
        assert_text(world, "message", text);                                                       \
    } while (0)

/* Formats an input. */
#define world_callf(world, operation, ...)                                                         \
    do {                                                                                           \
        char *input_ = xprintf(__VA_ARGS__);                                                       \
        world_call(world, operation, input_);                                                      \
        free(input_);                                                                              \
    } while (0)
#define world_okf(world, operation, ...)                                                           \
    do {                                                                                           \
        char *input_ = xprintf(__VA_ARGS__);                                                       \
        world_ok(world, operation, input_);                                                        \
        free(input_);                                                                              \
    } while (0)

static inline void world_wait_active(struct world *world, const char *stream) {
    for (int i = 0; i < 1000; i++) {
        world_okf(world, "DescribeStreamSummary", "{'StreamName':'%s'}", stream);
        if (str_eq(world_text(world, "StreamDescriptionSummary.StreamStatus"), STR("ACTIVE")))
            return;
        usleep(5000);
    }
    fail_msg("%s did not become ACTIVE", stream);
}

/* An iterator; the caller frees it. */
static inline char *world_iterator(struct world *world, const char *stream, const char *shard,
                                   const char *type, const char *more) {
    world_okf(world, "GetShardIterator",
              "{'StreamName':'%s','ShardId':'%s','ShardIteratorType':'%s'%s}", stream, shard, type,
              more);
    return world_keep(world, "ShardIterator");
}

#define WORLD_SHARD_0 "shardId-000000000000"
#define WORLD_SHARD_1 "shardId-000000000001"
#define WORLD_ARN     "arn:aws:kinesis:us-east-1:000000000000:stream/"

#endif
