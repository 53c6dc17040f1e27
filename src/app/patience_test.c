#include "base/test.h"

#include <unistd.h>

#include "app/patience.h"

/* What stands on standard error while it runs is what the pipe gives. */
static int take_stderr(int ret_pipe[2]) {
    int kept = dup(STDERR_FILENO);
    assert_int_equal(pipe(ret_pipe), 0);
    dup2(ret_pipe[1], STDERR_FILENO);
    close(ret_pipe[1]);
    return kept;
}

static void what_takes_long_is_said_once(void **state) {
    char said[64] = "";
    int ends[2], kept = take_stderr(ends);
    struct patience *patience = patience_begin("waiting for Godot");
    ssize_t len = read(ends[0], said, sizeof said); /* returns when it was said */
    patience_end(patience);
    patience_end(NULL);
    dup2(kept, STDERR_FILENO);
    assert_int_equal(len, 18);
    assert_string_equal(said, "waiting for Godot\n");
    assert_int_equal(read(ends[0], said, sizeof said), 0);
    close(ends[0]);
    close(kept);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_takes_long_is_said_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
