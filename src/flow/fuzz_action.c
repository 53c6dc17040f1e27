/* Any bytes as an action's record: no crash, and what is read can be gone through. */
#include "base/err.h"
#include "flow/action.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct action_record record;
    if (action_record_read(str_from(data, size), &record))
        return 0;
    struct action_place place = {0};
    struct action_param param;
    unsigned count = 0;
    while (action_param_next(&record.params, &place, &param))
        count++;
    ASSERT(count == record.params.count);
    struct buf again = {0};
    action_record_write(&again, &record);
    struct action_record second;
    ASSERT(action_record_read(buf_str(&again), &second) == 0);
    ASSERT(str_eq(second.payload, record.payload) && str_eq(second.original, record.original));
    ASSERT(second.depth == record.depth);
    buf_done(&again);
    return 0;
}
