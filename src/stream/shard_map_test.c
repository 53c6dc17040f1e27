#include "base/test.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "stream/shard_map.h"

static void make_even(struct shard_map *map, unsigned count) {
    map->count = count;
    map->ranges = test_malloc(count * sizeof *map->ranges);
    for (unsigned i = 0; i < count; i++) {
        hash_key end;
        map->ranges[i].shard = i;
        shard_map_even(i, count, &map->ranges[i].start, &end);
    }
}

/* Key, hash, shard of 2, 3 and 4 (reference, "MD5 mapping"). */
static const struct vector {
    const char *key, *hash;
    unsigned shard[3];
} vectors[] = {
    {"a", "16955237001963240173058271559858726497", {0, 0, 0}},
    {"b", "195289424170611159128911017612795795343", {1, 1, 2}},
    {"same", "107685524883170236119450514773334729494", {0, 0, 1}},
    {"device-1", "277901890176008628857739572313990950024", {1, 2, 3}},
    {"sensor-1", "313621148937180024981089005635817150934", {1, 2, 3}},
    {"\xe3\x83\x91", "124883656212560120946151505467378519410", {0, 1, 1}},
};

static void keys_map_as_kinesis_maps_them(void **state) {
    for (unsigned count = 2; count <= 4; count++) {
        struct shard_map map;
        make_even(&map, count);
        for (size_t i = 0; i < COUNT_OF(vectors); i++) {
            hash_key key = hash_key_of(str_of(vectors[i].key));
            char text[HASH_KEY_CHARS];
            hash_key_text(key, text);
            assert_string_equal(text, vectors[i].hash);
            assert_int_equal(shard_map_find(&map, key), vectors[i].shard[count - 2]);
        }
        test_free(map.ranges);
    }
}

static void assert_range(unsigned index, unsigned count, const char *start, const char *end) {
    hash_key first, last;
    char text[HASH_KEY_CHARS];
    shard_map_even(index, count, &first, &last);
    hash_key_text(first, text);
    assert_string_equal(text, start);
    hash_key_text(last, text);
    assert_string_equal(text, end);
}

static void ranges_are_those_of_kinesis(void **state) {
    assert_range(0, 3, "0", "113427455640312821154458202477256070484");
    assert_range(1, 3, "113427455640312821154458202477256070485",
                 "226854911280625642308916404954512140969");
    assert_range(2, 3, "226854911280625642308916404954512140970",
                 "340282366920938463463374607431768211455");
    assert_range(0, 1, "0", "340282366920938463463374607431768211455");
    assert_range(1, 2, "170141183460469231731687303715884105728",
                 "340282366920938463463374607431768211455");
    assert_range(3, 4, "255211775190703847597530955573826158592",
                 "340282366920938463463374607431768211455");
}

static void the_ends_of_ranges_belong_to_them(void **state) {
    struct shard_map map;
    make_even(&map, 7);
    for (unsigned i = 0; i < 7; i++) {
        hash_key start, end;
        shard_map_even(i, 7, &start, &end);
        assert_int_equal(shard_map_find(&map, start), i);
        assert_int_equal(shard_map_find(&map, end), i);
    }
    test_free(map.ranges);
}

static void the_cache_agrees_with_the_map(void **state) {
    struct shard_map map;
    make_even(&map, 13);
    struct shard_cache *cache = test_calloc(1, sizeof *cache);
    for (int round = 0; round < 3; round++)
        for (unsigned i = 0; i < 1000; i++) {
            char text[80];
            int len = snprintf(text, sizeof text, "%0*u", 1 + (int)(i % 60), i);
            struct str key = str_from(text, (size_t)len);
            unsigned shard = shard_map_find(&map, hash_key_of(key));
            assert_int_equal(shard_cache_find(cache, &map, key), shard);
            assert_int_equal(shard_cache_find(cache, &map, key), shard);
        }
    test_free(cache);
    test_free(map.ranges);
}

static void *hash_on_thread(void *data) {
    *(hash_key *)data = hash_key_of(STR("device-1"));
    return NULL;
}

static void threads_have_their_own_digest(void **state) {
    pthread_t threads[4];
    hash_key keys[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_on_thread, &keys[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_true(keys[i] == hash_key_of(STR("device-1")));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_map_as_kinesis_maps_them),
        cmocka_unit_test(ranges_are_those_of_kinesis),
        cmocka_unit_test(the_ends_of_ranges_belong_to_them),
        cmocka_unit_test(the_cache_agrees_with_the_map),
        cmocka_unit_test(threads_have_their_own_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
