/* Any bytes as a Kinesis event: every record lies inside the event, and the walk ends. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "lambda.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check_inside(struct lambda_bytes part, const char *body, size_t size) {
    LAMBDA_ASSERT(part.data >= body && part.data + part.size < body + size);
    LAMBDA_ASSERT(part.data[part.size] == '\0');
}

static void check_record(const struct lambda_kinesis_record *record, const char *body,
                         size_t size) {
    check_inside(record->partition_key, body, size);
    check_inside(record->sequence_number, body, size);
    check_inside(record->shard_id, body, size);
    check_inside(record->data, body, size);
    LAMBDA_ASSERT(record->shard_id.size > 0 && record->arrival_ms >= 0);
    LAMBDA_ASSERT(strlen(record->sequence_number.data) == record->sequence_number.size);
    LAMBDA_ASSERT(lambda_sequence_compare(record->sequence_number, record->sequence_number) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct lambda_kinesis batch;
    struct lambda_kinesis_record record;
    char *body = malloc(size); /* exactly: the walk must not lean on a NUL behind the event */
    int step;
    if (!body)
        return 0;
    memcpy(body, bytes, size);
    if (lambda_kinesis_open(&batch, body, size) == 0) {
        while ((step = lambda_kinesis_next(&batch, &record)) != LAMBDA_KINESIS_END) {
            if (step == LAMBDA_KINESIS_BAD_EVENT)
                break;
            if (step == LAMBDA_KINESIS_RECORD)
                check_record(&record, body, size);
        }
        LAMBDA_ASSERT(lambda_kinesis_next(&batch, &record) == step);
    } else {
        LAMBDA_ASSERT(lambda_kinesis_next(&batch, &record) == LAMBDA_KINESIS_BAD_EVENT);
    }
    free(body);
    return 0;
}
