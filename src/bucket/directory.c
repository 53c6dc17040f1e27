/*
 * A directory as a bucket: an object is a file. It is written under a temporary name beside its
 * own, synced, renamed, and the directories are synced (file_write_atomic), so after a crash there
 * is the whole object or none, and a repeated put of the same object overwrites it. The blocking
 * calls run on the pool; they cannot be stopped half way.
 *
 * Every failure is one that may go away (no space left, a file system that is not mounted, wrong
 * rights): a local attempt is cheap, so all are tried again with growing pauses.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "bucket/bucket.h"
#include "io/file.h"

struct directory {
    struct bucket bucket;
    struct loop *loop;
    char *path;
    struct work work;
    struct bucket_object object;
    int code;
    struct err err;
};

int bucket_path_check(struct str key, struct err *err) {
    if (memchr(key.at, '\0', key.len))
        return err_set(err, ERR_INVALID, "a file name holds no zero byte");
    for (struct str rest = key; rest.len;) {
        struct str segment = str_cut(rest, '/', &rest);
        if (str_eq(segment, STR(".")) || str_eq(segment, STR("..")))
            return err_set(err, ERR_INVALID, "the part \"%.*s\" would lead out of the directory",
                           STR_ARG(segment));
        if (segment.len > NAME_MAX)
            return err_set(err, ERR_INVALID, "a part is longer than the %d bytes of a file name",
                           NAME_MAX);
    }
    return 0;
}

static void write_file(struct work *work) {
    struct directory *directory = CONTAINER_OF(work, struct directory, work);
    struct str key = directory->object.key;
    directory->code = bucket_path_check(key, &directory->err);
    if (directory->code)
        return;
    char *path = xprintf("%s/%.*s", directory->path, STR_ARG(key));
    directory->code = file_write_atomic(path, directory->object.body, &directory->err);
    free(path);
}

static const char *code_word(int code) {
    return code == ERR_NO_SPACE ? "NoSpace" : code == ERR_INVALID ? "InvalidKey" : "Io";
}

static void on_written(struct work *work) {
    struct directory *directory = CONTAINER_OF(work, struct directory, work);
    struct bucket_result result = {.verdict = BUCKET_SAFE, .code = "OK"};
    if (directory->code) {
        result.verdict = BUCKET_RETRY;
        result.code = code_word(directory->code);
        snprintf(result.text, sizeof result.text, "%.500s", directory->err.text);
    }
    directory->bucket.done(directory->bucket.data, &result);
}

static void directory_put(struct bucket *bucket, const struct bucket_object *object) {
    struct directory *directory = CONTAINER_OF(bucket, struct directory, bucket);
    directory->object = *object;
    loop_work(directory->loop, &directory->work, write_file, on_written);
}

static bool directory_cancel(struct bucket *bucket) {
    return false;
}

static void directory_free(struct bucket *bucket) {
    struct directory *directory = CONTAINER_OF(bucket, struct directory, bucket);
    free(directory->path);
    free(directory);
}

static const struct bucket_ops directory_ops = {
    .put = directory_put, .cancel = directory_cancel, .free = directory_free};

struct bucket *bucket_open_directory(struct loop *loop, const char *path) {
    struct directory *directory = xcalloc(1, sizeof *directory);
    directory->bucket.ops = &directory_ops;
    directory->loop = loop;
    directory->path = xstrdup(path);
    return &directory->bucket;
}
