/* What Prometheus' client libraries tell about every process, and the version. */
#ifndef WEB_PROCESS_METRICS_H
#define WEB_PROCESS_METRICS_H

#include "base/buf.h"

/* weir_build_info and process_*, in Prometheus' text format. */
void web_process_metrics_show(struct buf *out);

#endif
