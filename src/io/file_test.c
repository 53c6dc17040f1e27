#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"

static char root[] = "/tmp/weir-file-XXXXXX";

static const char *at(const char *name) {
    static char paths[4][PATH_MAX];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, PATH_MAX, "%s/%s", root, name);
    return path;
}

static bool exists(const char *path) {
    struct stat stat_;
    return lstat(path, &stat_) == 0;
}

static void assert_content(const char *path, const char *expected) {
    struct buf content = {0};
    assert_int_equal(file_read_all(path, 1 << 20, &content, NULL), 0);
    assert_string_equal(buf_cstr(&content), expected);
    buf_done(&content);
}

static void many_parts_are_written_whole_and_in_order(void **state) {
    enum { PARTS = IOV_MAX * 2 + 77 };
    static uint8_t bytes[PARTS * 3], back[PARTS * 3 + 1];
    static struct iovec parts[PARTS];
    size_t total = 0;
    for (int i = 0; i < PARTS; i++) {
        parts[i] = (struct iovec){bytes + total, (size_t)(i % 4)}; /* Empty ones too. */
        for (int j = 0; j < i % 4; j++)
            bytes[total++] = (uint8_t)(i * 7 + j);
    }
    const struct file_ops *ops = &file_ops_real;
    int fd;
    assert_int_equal(ops->open(NULL, at("parts"), O_RDWR | O_CREAT, 0600, &fd), 0);
    assert_int_equal(ops->writev_all(NULL, fd, parts, PARTS, 5), 0);
    assert_int_equal(ops->datasync(NULL, fd), 0);
    assert_int_equal(ops->pread(NULL, fd, back, sizeof back, 5), total);
    assert_memory_equal(back, bytes, total);
    assert_int_equal(ops->pread(NULL, fd, back, 1, (off_t)total + 5), 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(ops->close(NULL, fd), 0);
}

static void empty_parts_write_nothing(void **state) {
    struct iovec parts[2] = {{NULL, 0}, {NULL, 0}};
    int fd;
    assert_int_equal(file_ops_real.open(NULL, at("empty"), O_RDWR | O_CREAT, 0600, &fd), 0);
    assert_int_equal(file_ops_real.writev_all(NULL, fd, parts, 2, 0), 0);
    assert_int_equal(lseek(fd, 0, SEEK_END), 0);
    file_ops_real.close(NULL, fd);
}

/* The system writes up to the limit and tells so; the attempt to write the rest fails. */
static void a_short_write_is_continued_where_it_stopped(void **state) {
    struct rlimit before, low;
    struct iovec parts[2] = {{(char[]){"01234567"}, 8}, {(char[]){"89abcdef"}, 8}};
    int fd;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(file_ops_real.open(NULL, at("short"), O_RDWR | O_CREAT, 0600, &fd), 0);
    low = (struct rlimit){10, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    int failed = file_ops_real.writev_all(NULL, fd, parts, 2, 0);
    int errno_value = errno;
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(failed, ERR_IO);
    assert_int_equal(errno_value, EFBIG);
    file_ops_real.close(NULL, fd);
    assert_content(at("short"), "0123456789");
}

static void a_full_device_is_told(void **state) {
    struct iovec part = {(char[]){"abc"}, 3};
    int fd;
    assert_int_equal(file_ops_real.open(NULL, "/dev/full", O_WRONLY, 0, &fd), 0);
    assert_int_equal(file_ops_real.writev_all(NULL, fd, &part, 1, 0), ERR_NO_SPACE);
    file_ops_real.close(NULL, fd);
}

static void allocating_extends_and_truncating_cuts(void **state) {
    const struct file_ops *ops = &file_ops_real;
    int fd;
    assert_int_equal(ops->open(NULL, at("sized"), O_RDWR | O_CREAT, 0600, &fd), 0);
    assert_int_equal(ops->allocate(NULL, fd, 0, 10000), 0);
    assert_int_equal(lseek(fd, 0, SEEK_END), 10000);
    assert_int_equal(ops->allocate(NULL, fd, 0, 100), 0);
    assert_int_equal(lseek(fd, 0, SEEK_END), 10000);
    assert_int_equal(ops->truncate(NULL, fd, 10), 0);
    assert_int_equal(lseek(fd, 0, SEEK_END), 10);
    ops->close(NULL, fd);
    assert_int_equal(ops->rename(NULL, at("sized"), at("renamed")), 0);
    assert_int_equal(ops->sync_directory(NULL, root), 0);
    assert_int_equal(ops->unlink(NULL, at("renamed")), 0);
    assert_int_equal(ops->unlink(NULL, at("renamed")), ERR_NOT_FOUND);
    assert_int_equal(ops->open(NULL, at("renamed"), O_RDONLY, 0, &fd), ERR_NOT_FOUND);
    assert_int_equal(ops->sync_directory(NULL, at("nothing")), ERR_NOT_FOUND);
}

static void a_file_is_read_up_to_its_bound(void **state) {
    struct buf content = {0};
    struct err err = {0};
    assert_int_equal(file_write_atomic(at("five"), STR("12345"), &err), 0);
    assert_int_equal(file_read_all(at("five"), 5, &content, &err), 0);
    assert_int_equal(buf_len(&content), 5);
    assert_int_equal(file_read_all(at("five"), 4, &content, &err), ERR_TOO_LARGE);
    assert_int_equal(buf_len(&content), 5);
    assert_int_equal(file_read_all(at("none"), 4, &content, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "none"));
    buf_done(&content);
}

static void an_atomic_write_replaces_and_leaves_no_other_file(void **state) {
    struct err err = {0};
    const char *path = at("deep/er/still/file");
    assert_int_equal(file_write_atomic(path, STR("old"), &err), 0);
    assert_content(path, "old");
    assert_int_equal(file_write_atomic(path, STR("new content"), &err), 0);
    assert_content(path, "new content");
    assert_int_equal(file_write_atomic(path, STR(""), &err), 0);
    assert_content(path, "");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(at("deep/er/still")), 0); /* Only if nothing else lies there. */
}

static void a_failed_atomic_write_leaves_what_stood_there(void **state) {
    struct err err = {0};
    char name[NAME_MAX + 8];
    assert_int_equal(file_make_directories(at("taken/inside"), &err), 0);
    assert_int_not_equal(file_write_atomic(at("taken"), STR("x"), &err), 0);
    assert_true(exists(at("taken/inside")));
    assert_int_equal(file_write_atomic(at("plain"), STR("x"), &err), 0);
    assert_int_not_equal(file_write_atomic(at("plain/below"), STR("x"), &err), 0);
    assert_content(at("plain"), "x");
    memset(name, 'n', NAME_MAX);
    name[NAME_MAX] = '\0';
    assert_int_equal(file_write_atomic(at(name), STR("the longest name"), &err), 0);
    name[NAME_MAX] = 'n';
    name[NAME_MAX + 1] = '\0';
    assert_int_not_equal(file_write_atomic(at(name), STR("x"), &err), 0);
}

static void directories_are_made_with_all_that_is_above(void **state) {
    struct err err = {0};
    assert_int_equal(file_make_directories(at("a//b/c/"), &err), 0);
    struct stat stat_;
    assert_int_equal(stat(at("a/b/c"), &stat_), 0);
    assert_int_equal(stat_.st_mode & 0777 & ~0750U, 0);
    assert_int_equal(file_make_directories(at("a/b/c"), &err), 0);
    assert_int_equal(file_make_directories("/", &err), 0);
    assert_int_equal(file_write_atomic(at("a/file"), STR("x"), &err), 0);
    assert_int_equal(file_make_directories(at("a/file"), &err), ERR_EXISTS);
    assert_int_not_equal(file_make_directories(at("a/file/x"), &err), 0);
    assert_non_null(strstr(err.text, "a/file"));
}

static void a_tree_is_removed_and_links_are_not_followed(void **state) {
    struct err err = {0};
    assert_int_equal(file_write_atomic(at("kept/file"), STR("x"), &err), 0);
    assert_int_equal(file_write_atomic(at("tree/one/two/file"), STR("x"), &err), 0);
    assert_int_equal(symlink(at("kept"), at("tree/one/link")), 0);
    assert_int_equal(file_remove_tree(at("tree"), &err), 0);
    assert_false(exists(at("tree")));
    assert_content(at("kept/file"), "x");
    assert_int_equal(file_remove_tree(at("tree"), &err), 0);
}

static int make_root(void **state) {
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state) {
    return file_remove_tree(root, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_parts_are_written_whole_and_in_order),
        cmocka_unit_test(empty_parts_write_nothing),
        cmocka_unit_test(a_short_write_is_continued_where_it_stopped),
        cmocka_unit_test(a_full_device_is_told),
        cmocka_unit_test(allocating_extends_and_truncating_cuts),
        cmocka_unit_test(a_file_is_read_up_to_its_bound),
        cmocka_unit_test(an_atomic_write_replaces_and_leaves_no_other_file),
        cmocka_unit_test(a_failed_atomic_write_leaves_what_stood_there),
        cmocka_unit_test(directories_are_made_with_all_that_is_above),
        cmocka_unit_test(a_tree_is_removed_and_links_are_not_followed),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
