/*
 * The file calls that durability rests on, behind a table, so that tests can fail, shorten, tear or
 * lose them. Product code uses file_ops_real. Blocking; meant for the log thread, the pool, and
 * start-up.
 *
 * All return 0 or a count, or a negative code of err.h with errno set.
 */
#ifndef IO_FILE_H
#define IO_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "base/err.h"

struct file_ops {
    int (*open)(void *self, const char *path, int flags, mode_t mode, int *ret_fd);
    int (*close)(void *self, int fd);
    /* Writes all of it at `offset` or fails; a short write of the system is continued. */
    int (*writev_all)(void *self, int fd, struct iovec *parts, int count, off_t offset);
    /* Bytes read, 0 at the end of the file. */
    ssize_t (*pread)(void *self, int fd, void *at, size_t len, off_t offset);
    int (*datasync)(void *self, int fd);
    int (*truncate)(void *self, int fd, off_t length);
    /* Allocates (and extends to) `length` bytes. */
    int (*allocate)(void *self, int fd, off_t offset, off_t length);
    int (*rename)(void *self, const char *from, const char *to);
    int (*unlink)(void *self, const char *path);
    int (*sync_directory)(void *self, const char *path);
    void *self;
};

extern const struct file_ops file_ops_real;

/* The whole file into `ret_content` (at most `bytes_max`, else TOO_LARGE). */
int file_read_all(const char *path, size_t bytes_max, struct buf *ret_content, struct err *err);

/* Writes `path` so that after a crash either the old or the whole new file is there: temporary file
 * beside it, fsync, rename, fsync of the directory. Makes missing directories. */
int file_write_atomic(const char *path, struct str content, struct err *err);

/* mkdir -p with mode 0750. */
int file_make_directories(const char *path, struct err *err);

/* Removes a directory and all in it (tests, deleted streams). Does not follow links. */
int file_remove_tree(const char *path, struct err *err);

#endif
