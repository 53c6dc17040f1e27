/* Entries of the journal, whatever they hold: u16 bytes and that many bytes, one after the other. */
#include "mqtt/restore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct mqtt_restore *restore = restore_new();
    struct wire wire = wire_over(data, size);
    while (!wire.failed && wire_left(&wire)) {
        uint16_t bytes = wire_u16be(&wire);
        struct str entry = wire_bytes(&wire, bytes < wire_left(&wire) ? bytes : wire_left(&wire));
        restore_take(restore, entry, 0);
    }
    restore_settle(restore);
    restore_free(restore);
    return 0;
}
