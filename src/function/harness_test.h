/*
 * For tests: a loop that runs until something has happened, and functions written in Python that do
 * what a test asks for.
 *
 * The program takes its orders from the event, {"do": ...}, and answers with what it saw. Started
 * with an argument it fails before it asks for an event. Events of a mapping it appends to the file
 * in $OUT, one line "attempt SHARD:data,data" per event, and fails as $OUT.fail says: if that file
 * exists, events that hold one of the words in it fail ("*": all).
 */
#ifndef FUNCTION_HARNESS_TEST_H
#define FUNCTION_HARNESS_TEST_H

#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/json.h"
#include "function/function.h"
#include "io/loop.h"

static const char function_program[] =
    "import base64, http.client, json, os, socket, sys, time\n"
    "api = os.environ['AWS_LAMBDA_RUNTIME_API']\n"
    "root = '/2018-06-01/runtime/'\n"
    "conn = http.client.HTTPConnection(api)\n"
    "def call(method, path, body=None, headers={}, conn=conn):\n"
    "    conn.request(method, path if path[0] == '/' else root + path, body, headers)\n"
    "    answer = conn.getresponse()\n"
    "    return answer.status, answer.read().decode(), answer\n"
    "def raw(text):\n"
    "    peer = socket.create_connection(api.split(':'))\n"
    "    peer.sendall(text)\n"
    "    head = peer.recv(65536).decode()\n"
    "    peer.close()\n"
    "    return head\n"
    "def kinds(answer):\n"
    "    return [answer[0], json.loads(answer[1]).get('errorType', 'ok')]\n"
    "mode = sys.argv[1] if len(sys.argv) > 1 else ''\n"
    "if mode == 'init_error':\n"
    "    call('POST', 'init/error', '{\"errorType\":\"Runtime.NoRedis\",\"errorMessage\":\"m\"}',\n"
    "         {'Lambda-Runtime-Function-Error-Type': 'Runtime.NoRedis'})\n"
    "    sys.exit(1)\n"
    "if mode == 'init_exit': sys.exit(7)\n"
    "seen = []\n"
    "if mode == 'early':\n"
    "    seen.append(kinds(call('POST', 'invocation/x/response', '1')))\n"
    "def batch(event):\n"
    "    out = os.environ['OUT']\n"
    "    words = [base64.b64decode(r['kinesis']['data']).decode() for r in event['Records']]\n"
    "    shard = event['Records'][0]['eventID'].split(':')[0][-1]\n"
    "    bad = open(out + '.fail').read().split() if os.path.exists(out + '.fail') else []\n"
    "    failed = [r for r, w in zip(event['Records'], words) if w in bad or '*' in bad]\n"
    "    with open(out, 'a') as file:\n"
    "        file.write(('failed ' if failed else 'done ') + shard + ':' + ','.join(words) + "
    "'\\n')\n"
    "    if failed and 'die' in bad: os._exit(3)\n"
    "    ids = [{'itemIdentifier': r['kinesis']['sequenceNumber']} for r in failed]\n"
    "    if 'partial' in bad: return {'batchItemFailures': ids}\n"
    "    if failed: raise ValueError('bad')\n"
    "while True:\n"
    "    status, text, answer = call('GET', 'invocation/next')\n"
    "    event = json.loads(text)\n"
    "    ident = answer.headers['Lambda-Runtime-Aws-Request-Id']\n"
    "    path = 'invocation/' + ident + '/'\n"
    "    do = event.get('do')\n"
    "    if 'Records' in event:\n"
    "        try: call('POST', path + 'response', json.dumps(batch(event)))\n"
    "        except ValueError: call('POST', path + 'error', '{\"errorMessage\":\"bad\"}')\n"
    "        continue\n"
    "    if 'touch' in event: open(event['touch'], 'w').close()\n"
    "    if do == 'hang': time.sleep(60)\n"
    "    if do == 'exit': os._exit(event['status'])\n"
    "    if do == 'fail':\n"
    "        call('POST', path + 'error', "
    "'{\"errorMessage\":\"no\",\"errorType\":\"Function.Bad\"}',\n"
    "             {'Lambda-Runtime-Function-Error-Type': event['type']})\n"
    "        continue\n"
    "    if do == 'memory': block = b'x' * event['bytes']; time.sleep(60)\n"
    "    if do == 'sleep': time.sleep(event['seconds'])\n"
    "    if do == 'say':\n"
    "        for i in range(event['lines']): print('line', i)\n"
    "        sys.stdout.flush()\n"
    "    if do == 'big':\n"
    "        fresh = http.client.HTTPConnection(api)\n"
    "        try: seen.append(kinds(call('POST', path + 'response', 'x' * event['bytes'],\n"
    "                                    conn=fresh)))\n"
    "        except OSError: seen.append('broken')\n"
    "        continue\n"
    "    result = event\n"
    "    if do == 'pid': result = os.getpid()\n"
    "    if do == 'headers': result = dict(answer.headers)\n"
    "    if do == 'variables': result = dict(os.environ)\n"
    "    if do == 'where': result = os.getcwd()\n"
    "    if do == 'seen': result = seen\n"
    "    if do == 'wrong_id': result = kinds(call('POST', 'invocation/x/response', '1'))\n"
    "    if do == 'bad_mode': result = kinds(call('POST', path + 'response', '1',\n"
    "        {'Lambda-Runtime-Function-Response-Mode': 'quick'}))\n"
    "    if do == 'late_init_error': result = kinds(call('POST', 'init/error', '{}'))\n"
    "    if do == 'again':\n"
    "        other = http.client.HTTPConnection(api)\n"
    "        again = call('GET', 'invocation/next', conn=other)\n"
    "        same = again[1] == text and again[2].headers['Lambda-Runtime-Aws-Request-Id'] == "
    "ident\n"
    "        result = [again[0], same]\n"
    "    if do == 'ping': result = call('GET', '/ping')[1]\n"
    "    if do == 'restore': result = call('GET', 'restore/next')[0]\n"
    "    if do == 'trailers':\n"
    "        kind, document = event['type'].encode(), "
    "base64.b64encode(event['document'].encode())\n"
    "        head = ('POST ' + root + path + 'response HTTP/1.1\\r\\nHost: x\\r\\n').encode()\n"
    "        raw(head + b'Transfer-Encoding: chunked\\r\\nTrailer: '\n"
    "            b'Lambda-Runtime-Function-Error-Type, "
    "Lambda-Runtime-Function-Error-Body\\r\\n\\r\\n'\n"
    "            b'3\\r\\n[1,\\r\\n2\\r\\n2]\\r\\n0\\r\\nLambda-Runtime-Function-Error-Type: ' + "
    "kind +\n"
    "            b'\\r\\nLambda-Runtime-Function-Error-Body: ' + document + b'\\r\\n\\r\\n')\n"
    "        continue\n"
    "    call('POST', path + 'response', json.dumps(result))\n"
    "    if do == 'twice': seen.append(kinds(call('POST', path + 'response', '1')))\n"
    "    if do == 'leave': sys.exit(0)\n";

static const char *function_command[] = {"/usr/bin/python3", "-S", "-c",
                                         function_program,   NULL, NULL};

/* A configuration as option_load() would make it. */
static inline struct function_config function_config_for_test(const char *name, size_t arguments) {
    return (struct function_config){
        .head = {.name = name},
        .command = {.items = function_command, .count = arguments},
        .handler = "bootstrap",
        .timeout_ms = 20000,
        .memory_bytes = (int64_t)512 << 20,
        .concurrency = 10,
    };
}

/* ---- running the loop ---- */

struct waiting {
    struct timer timer;
    struct loop *loop;
    uint64_t give_up_ms;
    bool (*is_over)(void *data);
    void *data;
    bool over;
};

static inline void waiting_look(struct timer *timer) {
    struct waiting *waiting = CONTAINER_OF(timer, struct waiting, timer);
    waiting->over = waiting->is_over(waiting->data);
    if (waiting->over || loop_now_ms(waiting->loop) >= waiting->give_up_ms)
        loop_stop(waiting->loop);
}

static inline void waiting_closed(struct timer *timer) {
    free(CONTAINER_OF(timer, struct waiting, timer));
}

/* Whether it came to be within `limit_ms`. */
static inline bool loop_run_until(struct loop *loop, uint64_t limit_ms, bool (*is_over)(void *data),
                                  void *data) {
    struct waiting *waiting = xcalloc(1, sizeof *waiting);
    waiting->loop = loop;
    waiting->is_over = is_over;
    waiting->data = data;
    uv_update_time(loop_uv(loop));
    waiting->give_up_ms = loop_now_ms(loop) + limit_ms;
    timer_start(loop, &waiting->timer, 0, 2, waiting_look);
    loop_run(loop);
    bool over = waiting->over;
    timer_close(&waiting->timer, waiting_closed);
    return over;
}

static inline bool is_set(void *data) {
    return *(const bool *)data;
}

static inline bool is_never(void *data) {
    return false;
}

static inline void set_flag(void *data) {
    *(bool *)data = true;
}

enum { TEST_LIMIT_MS = 30000 };

/* ---- a host with functions ---- */

struct harness {
    struct loop *loop;
    struct function_config functions[2];
    struct option_items items;
    struct function_host_config config;
    struct function_host *host;
};

static inline void harness_open(struct harness *harness, size_t functions) {
    struct err err;
    harness->loop = loop_new();
    harness->items = (struct option_items){harness->functions, functions};
    harness->config.functions = &harness->items;
    harness->config.region = "eu-central-1";
    harness->config.account = "000000000000";
    assert_int_equal(function_host_open(harness->loop, &harness->config, &harness->host, &err), 0);
}

static inline void harness_close(struct harness *harness, unsigned grace_ms) {
    bool closed = false;
    function_host_close(harness->host, grace_ms, set_flag, &closed);
    assert_false(closed);
    assert_true(loop_run_until(harness->loop, TEST_LIMIT_MS, is_set, &closed));
    loop_free(harness->loop);
}

/* One invocation and what came of it. */
struct answer {
    bool over, ok;
    char error_type[80];
    struct buf payload;
};

static inline void answer_take(void *data, const struct function_result *result) {
    struct answer *answer = data;
    answer->over = true;
    answer->ok = result->ok;
    snprintf(answer->error_type, sizeof answer->error_type, "%s",
             result->error_type ? result->error_type : "");
    buf_clear(&answer->payload);
    buf_add_str(&answer->payload, result->payload);
}

static inline void harness_begin(struct harness *harness, const char *event,
                                 struct answer *answer) {
    answer->over = false;
    assert_int_equal(function_invoke(harness->host, str_of(harness->functions[0].head.name),
                                     str_of(event), NULL, answer_take, answer),
                     0);
    assert_false(answer->over);
}

static inline void harness_finish(struct harness *harness, struct answer *answer) {
    assert_true(loop_run_until(harness->loop, TEST_LIMIT_MS, is_set, &answer->over));
}

static inline bool file_exists(void *path) {
    return access(path, F_OK) == 0;
}

/* Begins an event that touches a file when the function has it, and waits for that. */
static inline void harness_begin_slow(struct harness *harness, const char *order,
                                      struct answer *answer) {
    char path[] = "/tmp/weir-function-XXXXXX", event[160];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    snprintf(event, sizeof event, "{%s, \"touch\": \"%s\"}", order, path);
    harness_begin(harness, event, answer);
    assert_true(loop_run_until(harness->loop, TEST_LIMIT_MS, file_exists, path));
    unlink(path);
}

/* Invokes the first function and waits for the result; the payload is valid until the next one. */
static inline const char *harness_ask(struct harness *harness, const char *event,
                                      struct answer *answer) {
    harness_begin(harness, event, answer);
    harness_finish(harness, answer);
    return buf_cstr(&answer->payload);
}

#endif
