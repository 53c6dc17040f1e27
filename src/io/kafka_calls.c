#include "io/kafka_calls.h"

#include <dlfcn.h>
#include <stdbool.h>

struct kafka_calls kafka;

static const char library_name[] = "librdkafka.so.1";

static int find_calls(void *library, struct err *err) {
#define X(name)                                                                                    \
    kafka.name = (__typeof__(rd_kafka_##name) *)dlsym(library, "rd_kafka_" #name);                 \
    if (!kafka.name)                                                                               \
        return err_set(err, ERR_UNSUPPORTED, "%s is too old: it has no rd_kafka_%s", library_name, \
                       #name);
    KAFKA_CALLS(X)
#undef X
    return 0;
}

int kafka_calls_load(struct err *err) {
    static bool loaded;
    if (loaded)
        return 0;
    void *library = dlopen(library_name, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return err_set(err, ERR_NOT_FOUND,
                       "Kafka needs librdkafka (apt-get install librdkafka1): %s", dlerror());
    int status = find_calls(library, err);
    loaded = status == 0;
    return status;
}
