/*
 * Every file that was opened for writing has an image of what is durable (`disk`) and a list of the
 * changes since its last sync. A sync applies the list to the image. A power cut applies a random
 * part of it: a truncation wholly or not at all, of a write any of its 512-byte sectors (a file
 * grows to the highest sector kept; what lies between reads as zeros). The result is written back
 * to the real file.
 *
 * A file that was renamed over another one is the other one still until the directory is synced; a
 * power cut takes either.
 *
 * A sync that fails applies a random part too, drops the rest from the list (the kernel marks the
 * pages clean: a later sync that succeeds says nothing about them), and leaves the page cache, the
 * real file, as it is.
 */
#include "stream/fault_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

enum { SECTOR_BYTES = 512, FDS_MAX = 1024 };

struct change {
    struct change *next;
    bool truncation;
    size_t offset, len; /* truncation: offset is the new length */
    uint8_t bytes[];
};

struct fault_path {
    struct fault_path *next;
    char *path;
    uint8_t *disk;
    size_t disk_len, disk_cap;
    bool entry_synced, removed;
    struct fault_path *replaced; /* renamed over this one, which is not durable yet */
    struct change *changes, **changes_end;
};

struct fault_file {
    struct file_ops ops;
    struct fault_path *paths;
    struct fault_path *by_fd[FDS_MAX];
    uint64_t random;
    unsigned countdown, failures;
    int code;
    bool lasting;
    unsigned death; /* changing calls until the power goes; 0: it stays */
    bool dead;
};

static uint64_t next_random(struct fault_file *fault) {
    fault->random ^= fault->random << 13;
    fault->random ^= fault->random >> 7;
    fault->random ^= fault->random << 17;
    return fault->random;
}

static bool coin(struct fault_file *fault) {
    return next_random(fault) >> 33 & 1;
}

/* A descriptor from before the power cut reaches no file any more. */
static bool stale(const struct fault_file *fault, int fd) {
    if (fault->by_fd[fd])
        return false;
    errno = EIO;
    return true;
}

/* Without power nothing changes any more, and nobody is told: that calls fail is only how the test gets
 * on to its end. */
static bool is_dead(struct fault_file *fault) {
    if (!fault->dead && (fault->death == 0 || --fault->death > 0))
        return false;
    fault->dead = true;
    fault->failures++;
    fault->code = ERR_IO;
    errno = EIO;
    return true;
}

static bool fails(struct fault_file *fault) {
    if (is_dead(fault))
        return true;
    if (fault->countdown == 0 || --fault->countdown > 0)
        return false;
    if (fault->lasting)
        fault->countdown = 1;
    fault->failures++;
    errno = fault->code == ERR_NO_SPACE ? ENOSPC : EIO;
    return true;
}

/* ---- what is durable ---- */

/* A torn write arrives sector by sector: room is made in steps that grow. */
static void disk_resize(struct fault_path *path, size_t len) {
    if (len > path->disk_cap || !path->disk) {
        path->disk_cap = len + len / 2 + SECTOR_BYTES;
        path->disk = xrealloc(path->disk, path->disk_cap);
    }
    if (len > path->disk_len)
        memset(path->disk + path->disk_len, 0, len - path->disk_len);
    path->disk_len = len;
}

static void disk_write(struct fault_path *path, size_t offset, const uint8_t *bytes, size_t len) {
    if (len == 0)
        return;
    if (offset + len > path->disk_len)
        disk_resize(path, offset + len);
    memcpy(path->disk + offset, bytes, len);
}

static void apply(struct fault_path *path, const struct change *change) {
    if (change->truncation)
        disk_resize(path, change->offset);
    else
        disk_write(path, change->offset, change->bytes, change->len);
}

static void apply_in_part(struct fault_file *fault, struct fault_path *path,
                          const struct change *change) {
    if (change->truncation) {
        if (coin(fault))
            apply(path, change);
        return;
    }
    for (size_t at = 0; at < change->len;) {
        size_t len = SECTOR_BYTES - (change->offset + at) % SECTOR_BYTES;
        if (len > change->len - at)
            len = change->len - at;
        if (coin(fault))
            disk_write(path, change->offset + at, change->bytes + at, len);
        at += len;
    }
}

static void drop_changes(struct fault_path *path) {
    while (path->changes) {
        struct change *change = path->changes;
        path->changes = change->next;
        free(change);
    }
    path->changes_end = &path->changes;
}

static struct change *add_change(struct fault_path *path, bool truncation, size_t offset,
                                 size_t len) {
    struct change *change = xmalloc(sizeof *change + len);
    *change = (struct change){.truncation = truncation, .offset = offset, .len = len};
    *path->changes_end = change;
    path->changes_end = &change->next;
    return change;
}

/* ---- the calls ---- */

static struct fault_path *find_path(struct fault_file *fault, const char *name) {
    for (struct fault_path *path = fault->paths; path; path = path->next)
        if (!path->removed && strcmp(path->path, name) == 0)
            return path;
    return NULL;
}

static struct fault_path *make_path(struct fault_file *fault, const char *name, bool existed) {
    struct fault_path *path = xcalloc(1, sizeof *path);
    path->path = xstrdup(name);
    path->changes_end = &path->changes;
    path->entry_synced = existed;
    path->next = fault->paths;
    fault->paths = path;
    struct buf content = {0};
    if (existed && file_read_all(name, 1 << 30, &content, NULL) == 0)
        disk_write(path, 0, buf_at(&content), buf_len(&content));
    buf_done(&content);
    return path;
}

static int fault_open(void *self, const char *name, int flags, mode_t mode, int *ret_fd) {
    struct fault_file *fault = self;
    bool writes = (flags & O_ACCMODE) != O_RDONLY, existed = access(name, F_OK) == 0;
    if ((flags & O_CREAT) && !existed && fails(fault))
        return fault->code;
    if (fault->dead && (flags & O_TRUNC))
        return ERR_IO;
    struct fault_path *path = writes ? find_path(fault, name) : NULL;
    if (writes && !path && existed)
        path = make_path(fault, name, true);
    int status = file_ops_real.open(NULL, name, flags, mode, ret_fd);
    if (status)
        return status;
    ASSERT(*ret_fd < FDS_MAX);
    if (writes && !path)
        path = make_path(fault, name, false);
    if (path && (flags & O_TRUNC))
        add_change(path, true, 0, 0);
    fault->by_fd[*ret_fd] = path;
    return 0;
}

static int fault_close(void *self, int fd) {
    struct fault_file *fault = self;
    fault->by_fd[fd] = NULL;
    return file_ops_real.close(NULL, fd);
}

static int fault_writev_all(void *self, int fd, struct iovec *parts, int count, off_t offset) {
    struct fault_file *fault = self;
    struct fault_path *path = fault->by_fd[fd];
    if (stale(fault, fd))
        return ERR_IO;
    size_t len = 0;
    for (int i = 0; i < count; i++)
        len += parts[i].iov_len;
    struct change *change = add_change(path, false, (size_t)offset, len);
    size_t at = 0;
    for (int i = 0; i < count; at += parts[i].iov_len, i++)
        memcpy(change->bytes + at, parts[i].iov_base, parts[i].iov_len);
    int status = fails(fault) ? fault->code : 0;
    if (status)
        change->len = len && !fault->dead ? next_random(fault) % len : 0;
    struct iovec part = {change->bytes, change->len};
    int real = change->len ? file_ops_real.writev_all(NULL, fd, &part, 1, offset) : 0;
    if (status)
        errno = status == ERR_NO_SPACE ? ENOSPC : EIO;
    return status ? status : real;
}

static ssize_t fault_pread(void *self, int fd, void *at, size_t len, off_t offset) {
    return file_ops_real.pread(NULL, fd, at, len, offset);
}

static int fault_datasync(void *self, int fd) {
    struct fault_file *fault = self;
    struct fault_path *path = fault->by_fd[fd];
    if (stale(fault, fd))
        return ERR_IO;
    bool failing = fails(fault);
    if (fault->dead)
        return ERR_IO;
    for (struct change *change = path->changes; change; change = change->next) {
        if (failing)
            apply_in_part(fault, path, change);
        else
            apply(path, change);
    }
    drop_changes(path);
    return failing ? fault->code : 0;
}

static int fault_truncate(void *self, int fd, off_t length) {
    struct fault_file *fault = self;
    if (stale(fault, fd))
        return ERR_IO;
    if (fails(fault))
        return fault->code;
    add_change(fault->by_fd[fd], true, (size_t)length, 0);
    return file_ops_real.truncate(NULL, fd, length);
}

static int fault_allocate(void *self, int fd, off_t offset, off_t length) {
    struct fault_file *fault = self;
    if (stale(fault, fd))
        return ERR_IO;
    if (fails(fault))
        return fault->code;
    add_change(fault->by_fd[fd], true, (size_t)(offset + length), 0);
    return file_ops_real.truncate(NULL, fd, offset + length);
}

static int fault_rename(void *self, const char *from, const char *to) {
    struct fault_file *fault = self;
    if (fails(fault))
        return fault->code;
    struct fault_path *moved = find_path(fault, from), *replaced = find_path(fault, to);
    ASSERT(moved);
    if (!replaced && access(to, F_OK) == 0)
        replaced = make_path(fault, to, true);
    if (replaced)
        replaced->removed = true;
    moved->replaced = replaced;
    free(moved->path);
    moved->path = xstrdup(to);
    return file_ops_real.rename(NULL, from, to);
}

static int fault_unlink(void *self, const char *name) {
    struct fault_file *fault = self;
    if (fails(fault))
        return fault->code;
    struct fault_path *path = find_path(fault, name);
    if (path)
        path->removed = true;
    return file_ops_real.unlink(NULL, name);
}

static void entry_is_synced(struct fault_path *path) {
    path->entry_synced = true;
    path->replaced = NULL;
}

static int fault_sync_directory(void *self, const char *name) {
    struct fault_file *fault = self;
    if (fails(fault))
        return fault->code;
    size_t len = strlen(name);
    for (struct fault_path *path = fault->paths; path; path = path->next)
        if (strncmp(path->path, name, len) == 0 && path->path[len] == '/' &&
            !strchr(path->path + len + 1, '/'))
            entry_is_synced(path);
    return 0;
}

/* ---- the test's side ---- */

struct fault_file *fault_file_new(uint64_t seed) {
    struct fault_file *fault = xcalloc(1, sizeof *fault);
    fault->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    fault->ops = (struct file_ops){fault_open,           fault_close,    fault_writev_all,
                                   fault_pread,          fault_datasync, fault_truncate,
                                   fault_allocate,       fault_rename,   fault_unlink,
                                   fault_sync_directory, fault};
    return fault;
}

static void forget_paths(struct fault_file *fault) {
    while (fault->paths) {
        struct fault_path *path = fault->paths;
        fault->paths = path->next;
        drop_changes(path);
        free(path->disk);
        free(path->path);
        free(path);
    }
    memset(fault->by_fd, 0, sizeof fault->by_fd);
}

void fault_file_free(struct fault_file *fault) {
    forget_paths(fault);
    free(fault);
}

const struct file_ops *fault_file_ops(struct fault_file *fault) {
    return &fault->ops;
}

void fault_file_fail(struct fault_file *fault, unsigned n, int code, bool lasting) {
    fault->countdown = n;
    fault->code = code;
    fault->lasting = lasting;
    fault->failures = 0;
}

void fault_file_heal(struct fault_file *fault) {
    fault->countdown = 0;
}

unsigned fault_file_failures(const struct fault_file *fault) {
    return fault->failures;
}

static void write_back(const struct fault_path *path) {
    int fd = open(path->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0 && errno == ENOENT)
        return; /* Its directory was removed. */
    ASSERT(fd >= 0);
    ssize_t written = path->disk_len ? pwrite(fd, path->disk, path->disk_len, 0) : 0;
    ASSERT(written == (ssize_t)path->disk_len);
    close(fd);
}

/* Of several renames to one name that were not synced the disk may be at any. */
static const struct fault_path *which_replaced(struct fault_file *fault,
                                               const struct fault_path *path) {
    do
        path = path->replaced;
    while (path->replaced && coin(fault));
    return path;
}

void fault_file_cut_power(struct fault_file *fault) {
    for (struct fault_path *path = fault->paths; path; path = path->next) {
        if (path->removed)
            continue;
        if (path->replaced && coin(fault)) {
            write_back(which_replaced(fault, path));
            continue;
        }
        if (!path->replaced && !path->entry_synced && coin(fault)) {
            unlink(path->path);
            continue;
        }
        for (struct change *change = path->changes; change; change = change->next)
            apply_in_part(fault, path, change);
        write_back(path);
    }
    forget_paths(fault);
    fault_file_heal(fault);
    fault->death = 0;
    fault->dead = false;
}

void fault_file_die(struct fault_file *fault, unsigned n) {
    fault->death = n;
    fault->failures = 0;
}

bool fault_file_is_dead(const struct fault_file *fault) {
    return fault->dead;
}
