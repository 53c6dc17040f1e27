/*
 * A Kafka cluster for tests: librdkafka's own mock of the broker side of the protocol, steered by
 * lines on standard input. The first line on standard output is the address list; each command is
 * answered by "ok" or by what went wrong. It ends with its input.
 *
 *      topic NAME PARTITIONS REPLICAS      makes a topic
 *      down BROKER | up BROKER             a broker (from 1) closes its connections | accepts again
 *      leader TOPIC PARTITION BROKER       the partition's leader is another one
 *      error API CODE COUNT                the next COUNT requests of this API fail with CODE
 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ERRORS_MAX = 32 };

static rd_kafka_resp_err_t push_errors(rd_kafka_mock_cluster_t *cluster, int api, int code,
                                       int count) {
    rd_kafka_resp_err_t codes[ERRORS_MAX];
    if (count < 1 || count > ERRORS_MAX)
        return RD_KAFKA_RESP_ERR__INVALID_ARG;
    for (int i = 0; i < count; i++)
        codes[i] = (rd_kafka_resp_err_t)code;
    rd_kafka_mock_push_request_errors_array(cluster, (int16_t)api, (size_t)count, codes);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t obey(rd_kafka_mock_cluster_t *cluster, const char *line) {
    char topic[256];
    int a, b, c;
    if (sscanf(line, "topic %255s %d %d", topic, &a, &b) == 3)
        return rd_kafka_mock_topic_create(cluster, topic, a, b);
    if (sscanf(line, "down %d", &a) == 1)
        return rd_kafka_mock_broker_set_down(cluster, a);
    if (sscanf(line, "up %d", &a) == 1)
        return rd_kafka_mock_broker_set_up(cluster, a);
    if (sscanf(line, "leader %255s %d %d", topic, &a, &b) == 3)
        return rd_kafka_mock_partition_set_leader(cluster, topic, a, b);
    if (sscanf(line, "error %d %d %d", &a, &b, &c) == 3)
        return push_errors(cluster, a, b, c);
    return RD_KAFKA_RESP_ERR__UNKNOWN_PROTOCOL;
}

int main(int argc, char **argv) {
    char why[256], line[512];
    int brokers = argc > 1 ? atoi(argv[1]) : 1;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    rd_kafka_mock_cluster_t *cluster = handle ? rd_kafka_mock_cluster_new(handle, brokers) : NULL;
    if (!cluster) {
        fprintf(stderr, "mock_cluster: %s\n", handle ? "no cluster" : why);
        return 1;
    }
    printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        rd_kafka_resp_err_t code = obey(cluster, line);
        printf("%s\n", code ? rd_kafka_err2str(code) : "ok");
        fflush(stdout);
    }
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(handle);
    return 0;
}
