#!/usr/bin/env python3
"""House rules that a machine can check: who includes whom, sizes, words that must not stay, a test beside each source,
documents that name what is there.

Prints one line per breach and ends with 1 if there is any. docs/ARCHITECTURE.md explains the rules.
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

FOUNDATION = {
    "base": set(),
    "io": {"base"},
    "http": {"io", "base"},
    "bucket": {"http", "io", "base"},
    "flow": {"base"},
}
FLOW = {"sense", "mqtt", "rule", "stream", "function", "delivery", "action", "state", "web", "aws", "manage", "things"}
# Later stages that pull, and the public header they may see.
PULLS = {
    "function": {"stream/stream.h", "state/state.h"},
    "delivery": {"stream/stream.h"},
    "action": {"stream/stream.h", "state/state.h"},
    "aws": {"stream/stream.h", "rule/rule.h", "rule/book.h"},
    "manage": {"mqtt/mqtt.h"},
    "things": {"stream/stream.h"},
    "web": {"state/state.h"},
}
FILE_LINES_MAX = 700
LEFT_OVERS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
LIBUV_FREE = {"rule", "flow", "base"}


def tracked(*patterns):
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", *patterns], cwd=ROOT, check=True,
                           capture_output=True, text=True).stdout.split("\n")
    return [name for name in names if name and os.path.exists(os.path.join(ROOT, name))]


def may_include(folder, header):
    owner = header.split("/")[0]
    if folder == "app" or owner == folder:
        return True
    if folder in FOUNDATION:
        return owner in FOUNDATION[folder]
    if owner in FOUNDATION:
        return True
    return header in PULLS.get(folder, set())


def check_includes(path, text):
    folder = path.split("/")[1]
    for number, line in enumerate(text.split("\n"), 1):
        ours = re.match(r'#include "([^"]+)"', line)
        if ours and "/" not in ours.group(1):
            yield f"{path}:{number}: include by the path from src/, not {ours.group(1)}"
        elif ours and path.count("/") > 1 and not may_include(folder, ours.group(1)):
            yield f"{path}:{number}: {folder} may not include {ours.group(1)}"
        if re.match(r"#include <uv\.h>", line) and folder in LIBUV_FREE:
            yield f"{path}:{number}: {folder} must run without a loop"


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def check_file(path):
    text = read(path)
    if path.startswith("src/"):
        yield from check_includes(path, text)
    lines = text.count("\n")
    if lines > FILE_LINES_MAX and not path.endswith("_test.c"):
        yield f"{path}: {lines} lines; look for the second idea in it (bound {FILE_LINES_MAX})"
    for number, line in enumerate(text.split("\n"), 1):
        if LEFT_OVERS.search(line):
            yield f"{path}:{number}: left over: {line.strip()}"


def check_tests():
    sources = tracked("src/*.c")
    names = set(sources)
    for path in sources:
        base = os.path.basename(path)
        if path.endswith("_test.c") or base.startswith("fuzz_") or base == "main.c" or path in TEST_SUPPORT:
            continue
        if path[:-2] + "_test.c" not in names and path not in TESTED_ELSEWHERE:
            yield f"{path}: no {base[:-2]}_test.c beside it"


def check_document(path):
    """Each file that is named must be there, and in `function` (`src/file.c`) the function in the file."""
    text, files = read(path), set(tracked())
    for name in re.findall(r"`((?:src|tests|script|bench|functions|examples|web|docs)/[\w./-]+\.[a-z]+)`", text):
        if name not in files:
            yield f"{path}: there is no {name}"
    for functions, places in re.findall(r"((?:`\w+`(?:, | and )?)+)\s\((`src/[^)]*)\)", text):
        sources = "".join(read(name) for name in re.findall(r"`(src/[^`]+)`", places) if name in files)
        for function in re.findall(r"`(\w+)`", functions):
            if not re.search(rf"\b{function}\(", sources):
                yield f"{path}: {function}() is not in {places}"


# Sources that another test covers; say which.
TESTED_ELSEWHERE = {
    "src/app/app.c": "tests/e2e: every test starts and stops it",
    "src/app/command_device.c": "tests/e2e/test_auth.py",
    "src/app/command_passwd.c": "tests/e2e/test_auth.py",
    "src/app/command_broker.c": "tests/e2e/test_management.py",
    "src/app/command_consumers.c": "tests/e2e/test_streams.py",
    "src/app/consumers.c": "tests/e2e/test_streams.py",
    "src/app/command_rule.c": "tests/e2e/test_rule_command.py",
    "src/app/command_run.c": "tests/e2e",
    "src/app/command_sense.c": "tests/e2e/test_commands.py",
    "src/app/command_stream.c": "tests/e2e/test_commands.py",
    "src/app/command_verify.c": "tests/e2e/test_streams.py",
    "src/app/stream_source.c": "tests/e2e/test_engine_commands.py",
    "src/stream/remote_view.c": "kinesis_test.c, tests/e2e/test_engine_commands.py",
    "src/app/lane.c": "tests/e2e",
    "src/app/mqtt_websocket.c": "tests/e2e/test_broker.py",
    "src/app/rules.c": "tests/e2e/test_rule_api.py",
    "src/app/service.c": "tests/e2e",
    "src/app/statements.c": "tests/e2e/test_rule_functions.py",
    "src/app/targets.c": "config_test.c",
    "src/app/trace.c": "tests/e2e/test_rule_command.py",
    "src/aws/iot_rules.c": "iot_test.c, tests/e2e/test_rule_api.py",
    "src/aws/iot_tags.c": "iot_test.c, tests/e2e/test_rule_api.py",
    "src/bucket/options.c": "src/delivery/options_test.c",
    "src/bucket/s3.c": "src/delivery/s3_test.c",
    "src/aws/iot_try.c": "tests/e2e/test_rule_command.py",
    "src/base/arena.c": "buf_test.c",
    "src/base/conf.c": "option_test.c",
    "src/base/err.c": "str_test.c",
    "src/base/json_value.c": "json_test.c",
    "src/base/log.c": "metric_test.c",
    "src/base/map.c": "list_map_test.c",
    "src/base/mem.c": "every test",
    "src/base/random.c": "clock_test.c",
    "src/http/respond.c": "server_test.c, h2_test.c",
    "src/http/upgrade.c": "websocket_test.c; src/mqtt/websocket_test.c",
    "src/manage/manage.c": "broker_test.c",
    "src/mqtt/describe.c": "inquiry_test.c",
    "src/mqtt/channel.c": "worker_test.c: two workers over real TCP",
    "src/mqtt/claim.c": "worker_test.c: sessions that move; stored_test.c",
    "src/mqtt/listener.c": "worker_test.c",
    "src/mqtt/packet_write.c": "packet_test.c",
    "src/mqtt/restore_apply.c": "restore_test.c",
    "src/mqtt/rewrite.c": "restore_test.c, tests/crash/test_sessions_kill9.py",
    "src/rule/action.c": "engine_test.c",
    "src/rule/permission.c": "book_test.c, tests/e2e/test_rule_api.py",
    "src/rule/route.c": "engine_test.c",
    "src/rule/secret.c": "function_outside_test.c",
    "src/rule/parser_expression.c": "parser_test.c",
    "src/rule/time_pattern.c": "time_parse_test.c, time_format_test.c",
    "src/rule/time_resolve.c": "time_parse_test.c",
    "src/sense/sense.c": "tests/e2e/test_commands.py",
    "src/stream/block_file.c": "cursor_test.c, recovery_test.c",
    "src/delivery/share.c": "tests/e2e/test_engine_nodes.py",
    "src/stream/engine_options.c": "config_test.c, tests/e2e/test_engines.py",
    "src/io/kafka_calls.c": "stream/kafka_test.c",
    "src/stream/kafka_group.c": "tests/e2e/test_engine_nodes.py",
    "src/stream/kafka_producer.c": "kafka_test.c",
    "src/stream/kafka_reader.c": "kafka_test.c",
    "src/stream/kinesis_call.c": "kinesis_test.c",
    "src/stream/kinesis_producer.c": "kinesis_test.c",
    "src/stream/kinesis_reader.c": "kinesis_test.c",
    "src/stream/log.c": "writer_test.c",
    "src/stream/segment_files.c": "recovery_test.c, retention_test.c",
    "src/stream/stream.c": "writer_test.c",
}

# Not product code, though it lies beside it: what several tests share.
TEST_SUPPORT = {"src/stream/fault_file.c", "src/stream/fixture.c"}


def main():
    breaches = []
    for path in tracked("src/*.c", "src/*.h", "functions/*.c", "functions/*.h", "bench/*.c"):
        breaches.extend(check_file(path))
    breaches.extend(check_tests())
    for path in tracked("README.md", ":(glob)docs/*.md", "docs/formats/*.md", "bench/*.md"):
        breaches.extend(check_document(path))
    for path, where in TESTED_ELSEWHERE.items():
        if not os.path.exists(os.path.join(ROOT, path)):
            breaches.append(f"tests/house/check_house.py: {path} ({where}) is no more")
        elif os.path.exists(os.path.join(ROOT, path[:-2] + "_test.c")):
            breaches.append(f"tests/house/check_house.py: {path} has a test of its own now")
    print("\n".join(breaches), end="\n" if breaches else "")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
