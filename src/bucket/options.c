/* The configuration keys of buckets, and what no table can check about them. */
#include <string.h>

#include "bucket/bucket.h"
#include "bucket/s3_address.h"

static const struct option s3_options[] = {
    {"endpoint", OPTION_STRING, offsetof(struct bucket_s3_config, endpoint),
     .help = "http(s)://host[:port]; wanted"},
    {"region", OPTION_STRING, offsetof(struct bucket_s3_config, region),
     .default_text = "us-east-1"},
    {"bucket", OPTION_STRING, offsetof(struct bucket_s3_config, bucket),
     .help = "its name in the store; the name here when absent"},
    {"access_key_id", OPTION_STRING, offsetof(struct bucket_s3_config, access_key_id),
     .help = "wanted"},
    {"secret_access_key", OPTION_SECRET, offsetof(struct bucket_s3_config, secret_access_key),
     .help = "wanted; best as ${env:NAME}"},
    {"session_token", OPTION_SECRET, offsetof(struct bucket_s3_config, session_token)},
    {"path_style", OPTION_BOOL, offsetof(struct bucket_s3_config, path_style),
     .default_text = "true", .help = "host/bucket/key; false: bucket.host/key"},
    {"ca_path", OPTION_STRING, offsetof(struct bucket_s3_config, ca_path),
     .help = "certificates that sign the endpoint's; the system's when absent"},
    {0}};

const struct option bucket_options[] = {
    {"directory", OPTION_STRING, offsetof(struct bucket_config, directory),
     .help = "where the objects become files; this or s3"},
    {"s3", OPTION_STRUCT, offsetof(struct bucket_config, s3), .fields = s3_options,
     .help = "any store that speaks S3; this or directory"},
    {0}};

bool bucket_is_s3(const struct bucket_config *bucket) {
    return bucket->s3.head.conf || bucket->s3.endpoint;
}

static int check_present(const struct option_head *head, const char *key, const char *value,
                         struct err *err) {
    if (value && value[0])
        return 0;
    return option_error(head, key, err, ERR_INVALID, "s3: %s is missing here", key);
}

/* What S3 allows and what no URL has to encode (S3 user guide, "Bucket naming rules"; the upper
 * case and _ of old buckets too). */
static bool is_bucket_name(const char *name) {
    size_t len = strlen(name);
    size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return len >= 1 && len <= 255 && good == len && name[0] != '.';
}

static int check_s3(const struct bucket_config *bucket, struct err *err) {
    const struct bucket_s3_config *s3 = &bucket->s3;
    struct s3_endpoint endpoint;
    struct err why;
    int code = check_present(&s3->head, "endpoint", s3->endpoint, err);
    if (!code)
        code = check_present(&s3->head, "access_key_id", s3->access_key_id, err);
    if (!code)
        code = check_present(&s3->head, "secret_access_key", s3->secret_access_key, err);
    if (code)
        return code;
    if (s3_endpoint_parse(str_of(s3->endpoint), &endpoint, &why))
        return option_error(&s3->head, "endpoint", err, ERR_INVALID, "endpoint: %s", why.text);
    if (!s3_region_valid(str_of(s3->region)))
        return option_error(&s3->head, "region", err, ERR_INVALID,
                            "region: \"%s\" is none; small letters, digits and - are wanted",
                            s3->region);
    const char *name = s3->bucket ? s3->bucket : bucket->head.name;
    if (!is_bucket_name(name))
        return option_error(
            &s3->head, "bucket", err, ERR_INVALID,
            "bucket: \"%s\" is no bucket's name: letters, digits and .-_ are wanted", name);
    if (!s3->path_style && endpoint.is_tls && strchr(name, '.'))
        return option_error(&s3->head, "path_style", err, ERR_INVALID,
                            "path_style: no certificate covers a bucket name with dots; "
                            "path_style: true is wanted");
    return 0;
}

int bucket_check(const struct bucket_config *bucket, struct err *err) {
    bool has_s3 = bucket_is_s3(bucket);
    bool has_directory = bucket->directory && bucket->directory[0];
    if (has_s3 == has_directory)
        return option_error(&bucket->head, has_s3 ? "s3" : "", err, ERR_INVALID,
                            "bucket \"%s\": exactly one of directory and s3 is wanted",
                            bucket->head.name);
    return has_s3 ? check_s3(bucket, err) : 0;
}
