#include "stream/segment_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static char *path_of(const char *directory, uint64_t first, const char *ending) {
    return xprintf("%s/%0*" PRIu64 ".%s", directory, SEGMENT_NAME_DIGITS, first, ending);
}

char *segment_path(const char *directory, uint64_t first) {
    return path_of(directory, first, "seg");
}

char *segment_index_path(const char *directory, uint64_t first) {
    return path_of(directory, first, "idx");
}

static bool parse_name(const char *name, uint64_t *ret_first) {
    struct str text = str_of(name);
    if (text.len != SEGMENT_NAME_DIGITS + 4 || strcmp(name + SEGMENT_NAME_DIGITS, ".seg") != 0)
        return false;
    return str_to_u64(str_from(name, SEGMENT_NAME_DIGITS), ret_first);
}

static int ascending(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

int segment_list_read(const char *directory, struct segment_list *ret_list) {
    struct segment_list list = {0};
    DIR *dir = opendir(directory);
    if (!dir && errno != ENOENT)
        return err_from_errno(errno);
    size_t cap = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        uint64_t first;
        if (!parse_name(entry->d_name, &first))
            continue;
        if (list.count == cap) {
            cap = cap ? 2 * cap : 16;
            list.first = xrealloc(list.first, cap * sizeof *list.first);
        }
        list.first[list.count++] = first;
    }
    if (dir)
        closedir(dir);
    if (list.count)
        qsort(list.first, list.count, sizeof *list.first, ascending);
    *ret_list = list;
    return 0;
}

void segment_list_done(struct segment_list *list) {
    free(list->first);
    *list = (struct segment_list){0};
}

size_t segment_list_floor(const struct segment_list *list, uint64_t counter) {
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->first[middle] <= counter)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? low - 1 : list->count;
}

/* ---- index ---- */

_Static_assert(sizeof(struct segment_index_entry) == 24,
               "an entry is three numbers, as in the file");

int segment_index_put(const struct file_ops *file, const char *directory, uint64_t first,
                      size_t number, const struct segment_index_entry *entry) {
    char *path = segment_index_path(directory, first);
    int fd, status = file->open(file->self, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640, &fd);
    free(path);
    if (status)
        return status;
    struct segment_index_entry copy = *entry;
    struct iovec part = {&copy, sizeof copy};
    status = file->writev_all(file->self, fd, &part, 1, (off_t)(number * sizeof copy));
    file->close(file->self, fd);
    return status;
}

bool segment_index_find(const struct file_ops *file, const char *directory, uint64_t first,
                        uint64_t counter, uint64_t before_ms,
                        struct segment_index_entry *ret_entry) {
    char *path = segment_index_path(directory, first);
    int fd, status = file->open(file->self, path, O_RDONLY | O_CLOEXEC, 0, &fd);
    free(path);
    if (status)
        return false;
    struct segment_index_entry page[128];
    bool found = false, beyond = false;
    ssize_t got;
    for (off_t at = 0; !beyond; at += got) {
        got = file->pread(file->self, fd, page, sizeof page, at);
        if (got < (ssize_t)sizeof *page)
            break;
        for (size_t i = 0; i < (size_t)got / sizeof *page && !beyond; i++) {
            beyond = page[i].counter > counter || page[i].arrival_ms >= before_ms;
            if (!beyond) {
                *ret_entry = page[i];
                found = true;
            }
        }
    }
    file->close(file->self, fd);
    return found;
}
