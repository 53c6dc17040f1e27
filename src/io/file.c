#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/mem.h"

enum { REMOVE_OPEN_MAX = 16 }; /* directories that file_remove_tree() holds open at once */

/* The real calls. */

static int failed_with_errno(void) {
    return err_from_errno(errno);
}

static int real_open(void *self, const char *path, int flags, mode_t mode, int *ret_fd) {
    int fd = -1;
    do
        fd = open(path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return failed_with_errno();
    *ret_fd = fd;
    return 0;
}

/* After EINTR the descriptor is closed all the same on Linux. */
static int real_close(void *self, int fd) {
    return close(fd) == 0 || errno == EINTR ? 0 : failed_with_errno();
}

/* Drops `len` written bytes from the front of the parts. */
static void skip_written(struct iovec **parts, int *count, size_t len) {
    while (*count && len >= (*parts)->iov_len) {
        len -= (*parts)->iov_len;
        ++*parts;
        --*count;
    }
    if (*count) {
        (*parts)->iov_base = (char *)(*parts)->iov_base + len;
        (*parts)->iov_len -= len;
    }
}

static int real_writev_all(void *self, int fd, struct iovec *parts, int count, off_t offset) {
    skip_written(&parts, &count, 0);
    while (count) {
        ssize_t written = pwritev(fd, parts, count < IOV_MAX ? count : IOV_MAX, offset);
        if (written < 0 && errno != EINTR)
            return failed_with_errno();
        if (written == 0) {
            errno = ENOSPC;
            return ERR_NO_SPACE;
        }
        if (written > 0) {
            offset += written;
            skip_written(&parts, &count, (size_t)written);
        }
    }
    return 0;
}

static ssize_t real_pread(void *self, int fd, void *at, size_t len, off_t offset) {
    ssize_t got;
    do
        got = pread(fd, at, len, offset);
    while (got < 0 && errno == EINTR);
    return got < 0 ? failed_with_errno() : got;
}

static int real_datasync(void *self, int fd) {
    return fdatasync(fd) == 0 ? 0 : failed_with_errno();
}

static int real_truncate(void *self, int fd, off_t length) {
    return ftruncate(fd, length) == 0 ? 0 : failed_with_errno();
}

/* A file system that cannot allocate ahead gets a file with a hole: then NO_SPACE comes from the
 * write. */
static int extend(int fd, off_t end) {
    struct stat stat;
    if (fstat(fd, &stat) != 0)
        return failed_with_errno();
    return stat.st_size >= end || ftruncate(fd, end) == 0 ? 0 : failed_with_errno();
}

static int real_allocate(void *self, int fd, off_t offset, off_t length) {
    int result;
    do
        result = fallocate(fd, 0, offset, length);
    while (result != 0 && errno == EINTR);
    if (result != 0 && errno == EOPNOTSUPP)
        return extend(fd, offset + length);
    return result == 0 ? 0 : failed_with_errno();
}

static int real_rename(void *self, const char *from, const char *to) {
    return rename(from, to) == 0 ? 0 : failed_with_errno();
}

static int real_unlink(void *self, const char *path) {
    return unlink(path) == 0 ? 0 : failed_with_errno();
}

static int real_sync_directory(void *self, const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return failed_with_errno();
    int failed = fsync(fd) == 0 ? 0 : failed_with_errno();
    int errno_value = errno;
    close(fd);
    errno = errno_value;
    return failed;
}

const struct file_ops file_ops_real = {
    .open = real_open,
    .close = real_close,
    .writev_all = real_writev_all,
    .pread = real_pread,
    .datasync = real_datasync,
    .truncate = real_truncate,
    .allocate = real_allocate,
    .rename = real_rename,
    .unlink = real_unlink,
    .sync_directory = real_sync_directory,
};

/* Whole files. */

static int read_fd(int fd, const char *path, size_t bytes_max, struct buf *content,
                   struct err *err) {
    enum { PIECE_BYTES = 64 * 1024 };
    for (;;) {
        ssize_t got = read(fd, buf_room(content, PIECE_BYTES), PIECE_BYTES);
        if (got < 0 && errno != EINTR)
            return err_set_errno(err, errno, "cannot read %s", path);
        if (got == 0)
            return 0;
        if (got > 0)
            buf_added(content, (size_t)got);
        if (buf_len(content) > bytes_max)
            return err_set(err, ERR_TOO_LARGE, "%s is larger than %zu bytes", path, bytes_max);
    }
}

int file_read_all(const char *path, size_t bytes_max, struct buf *ret_content, struct err *err) {
    int fd = -1;
    if (real_open(NULL, path, O_RDONLY, 0, &fd) != 0)
        return err_set_errno(err, errno, "cannot open %s", path);
    struct buf content = {0};
    int failed = read_fd(fd, path, bytes_max, &content, err);
    close(fd);
    if (!failed)
        buf_add_str(ret_content, buf_str(&content));
    buf_done(&content);
    return failed;
}

/* "." for a bare name, "/" for a name in the root. The caller frees it. */
static char *parent_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash)
        return xstrdup(".");
    return str_dup(str_from(path, slash == path ? 1 : (size_t)(slash - path)));
}

/*
 * Beside the file, hidden, and the same again after a crash, so that what a crash left is
 * overwritten when the file is written again. Not made by appending to the name, which may be as
 * long as the system allows.
 */
static char *temporary_name(const char *path, const char *parent) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    return xprintf("%s/.tmp-%08x", parent, crc32c(0, name, strlen(name)));
}

static int write_and_sync(const char *path, struct str content, struct err *err) {
    int fd = -1;
    if (real_open(NULL, path, O_WRONLY | O_CREAT | O_TRUNC, 0640, &fd) != 0)
        return err_set_errno(err, errno, "cannot create %s", path);
    struct iovec part = {.iov_base = (char *)(uintptr_t)content.at, .iov_len = content.len};
    int failed = real_writev_all(NULL, fd, &part, 1, 0);
    if (!failed && fsync(fd) != 0)
        failed = failed_with_errno();
    if (failed)
        failed = err_set_errno(err, errno, "cannot write %s", path);
    close(fd);
    return failed;
}

static int replace(const char *path, const char *temporary, const char *parent, struct str content,
                   struct err *err) {
    int failed = write_and_sync(temporary, content, err);
    if (!failed && rename(temporary, path) != 0)
        failed = err_set_errno(err, errno, "cannot rename %s to %s", temporary, path);
    if (failed) {
        unlink(temporary);
        return failed;
    }
    if (real_sync_directory(NULL, parent) != 0)
        return err_set_errno(err, errno, "cannot sync the directory %s", parent);
    return 0;
}

int file_write_atomic(const char *path, struct str content, struct err *err) {
    char *parent = parent_of(path);
    char *temporary = temporary_name(path, parent);
    int failed = file_make_directories(parent, err);
    if (!failed)
        failed = replace(path, temporary, parent, content, err);
    free(temporary);
    free(parent);
    return failed;
}

/* Directories. */

static bool is_directory(const char *path) {
    struct stat stat_;
    return stat(path, &stat_) == 0 && S_ISDIR(stat_.st_mode);
}

/* A new directory is there after a crash only when the directory that holds it was synced. */
static int make_directory(const char *path, struct err *err) {
    if (mkdir(path, 0750) != 0) {
        if (errno == EEXIST && is_directory(path))
            return 0;
        return err_set_errno(err, errno, "cannot make the directory %s", path);
    }
    char *parent = parent_of(path);
    int failed = real_sync_directory(NULL, parent);
    if (failed)
        err_set_errno(err, errno, "cannot sync the directory %s", parent);
    free(parent);
    return failed;
}

int file_make_directories(const char *path, struct err *err) {
    if (is_directory(path))
        return 0;
    char *prefix = xstrdup(path);
    int failed = 0;
    for (char *at = prefix; *at && !failed;) {
        at += strspn(at, "/");
        at += strcspn(at, "/");
        char slash = *at;
        *at = '\0';
        failed = make_directory(prefix, err);
        *at = slash;
    }
    free(prefix);
    return failed;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *where) {
    return remove(path);
}

int file_remove_tree(const char *path, struct err *err) {
    if (nftw(path, remove_one, REMOVE_OPEN_MAX, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        return err_set_errno(err, errno, "cannot remove %s", path);
    return 0;
}
