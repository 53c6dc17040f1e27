/*
 * The state machine: a script of steps, each one byte for what, one for how much, then bytes. Two
 * clients, a gate that fills and commits, time that passes, transports that come and go. Nothing
 * may crash, leak, or stay behind when all is stopped.
 */
#include "mqtt/rig.h"
#include "mqtt/stored.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void renew(struct peer *peer, struct rig *rig) {
    mqtt_connection_detach(peer->connection);
    buf_done(&peer->in);
    peer_open(peer, rig);
}

static void step(struct rig *rig, struct peer *peer, uint8_t what, const uint8_t *at, size_t len) {
    switch (what >> 1 & 7) {
    case 0:
    case 1:
        peer->byte_by_byte = what >> 4 & 1;
        peer_feed(peer, at, len);
        break;
    case 2:
        rig->rules_result = what & 16 ? MESSAGE_STAGED : what & 32 ? ERR_NO_SPACE : MESSAGE_TAKEN;
        break;
    case 3:
        rig_commit(rig, rig->ticket++, what & 16 ? ERR_IO : 0);
        break;
    case 4:
        rig->full = true;
        break;
    case 5:
        rig_make_room(rig);
        break;
    case 6:
        for (unsigned i = 0; i <= len; i++) {
            wheel_tick(rig->worker);
            stored_tick(rig->worker);
        }
        peer->pending = what & 16 ? 4 << 20 : 0;
        if (!peer->closed)
            mqtt_connection_drained(peer->connection);
        rig_turn(rig);
        break;
    case 7:
        renew(peer, rig);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct rig rig;
    struct peer peers[2];
    rig_init(&rig);
    rig.config.inflight_max = 3;
    rig.config.retained_max = 3;
    rig.config.subscriptions_max = 4;
    rig.config.packet_bytes_max = 4096;
    rig.config.sessions_max = 2;
    rig.config.queue_max = 4;
    rig.config.queue_full = size % 2 ? MQTT_QUEUE_REFUSE : MQTT_QUEUE_DROP_OLDEST;
    log_setup(LOG_ERROR, LOG_TEXT);
    rig_start(&rig);
    for (unsigned i = 0; i < 2; i++)
        peer_open(&peers[i], &rig);
    while (size >= 2) {
        uint8_t what = data[0];
        size_t len = data[1] < size - 2 ? data[1] : size - 2;
        step(&rig, &peers[what & 1], what, data + 2, len);
        data += 2 + len;
        size -= 2 + len;
    }
    for (unsigned i = 0; i < 2; i++)
        peer_done(&peers[i]);
    ASSERT(rig.worker->clients.count == 0);
    stored_end_all(rig.worker);
    ASSERT(rig.worker->subscriptions.node_count == 0 && rig.worker->shares.by_key.count == 0);
    ASSERT(atomic_load(&rig.mqtt->queued_bytes) == 0 && atomic_load(&rig.mqtt->session_count) == 0);
    ASSERT(metric_get(&rig.worker->metrics.connections) == 0 &&
           metric_get(&rig.worker->metrics.parked) == 0);
    rig_done(&rig);
    return 0;
}
