// A library that stands in for ONNX Runtime's: it writes down what it is asked, and computes nothing.
//
// Tests compile it, with what it is to be:
//   VERSION    its release, "1.32.0" unless said
//   PROVIDERS  a list of names, {"CPUExecutionProvider"} unless said
//   REFUSED    the function that fails, such as append_cuda
//   REASON     in what words
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx_runtime.h"

#ifndef VERSION
#define VERSION "1.32.0"
#endif
#ifndef PROVIDERS
#define PROVIDERS {"CPUExecutionProvider"}
#endif
#ifndef REFUSED
#define REFUSED "nothing"
#endif
#ifndef REASON
#define REASON "refused"
#endif

static char record[1 << 16];

/// What was asked so far, a line for each call.
const char *recorded(void) { return record; }

static char object;
static int refusals_left = -1;

#define NOTE(...)                                                                           \
  snprintf(record + strlen(record), sizeof(record) - strlen(record), __VA_ARGS__);          \
  strncat(record, "\n", sizeof(record) - strlen(record) - 1)

static ort_status *status(const char *function) {
  return strcmp(function, REFUSED) ? 0 : (ort_status *)REASON;
}
#define RETURN return status(__func__)

static int error_code(const ort_status *status) { return (void)status, 1; }
static const char *error_message(const ort_status *status) { return (const char *)status; }
static void release_status(ort_status *status) { (void)status; }
static const char *build_info(void) { return "recorder"; }

#define MAKER(name, type)              \
  static ort_status *name(type **out) { \
    *out = (type *)&object;            \
    RETURN;                            \
  }
#define RELEASER(name, type)      \
  static void name(type *object) { \
    (void)object;                 \
    NOTE("%s", __func__);         \
  }

static ort_status *create_environment(int severity, const char *name, ort_environment **out) {
  NOTE("environment %s, severity %d", name, severity);
  *out = (ort_environment *)&object;
  RETURN;
}
RELEASER(release_environment, ort_environment)

static ort_status *available_providers(char ***names, int *count) {
  static char *list[] = PROVIDERS;
  *names = list;
  *count = sizeof(list) / sizeof(*list);
  RETURN;
}
static ort_status *release_available_providers(char **names, int count) {
  (void)names, (void)count;
  RETURN;
}

MAKER(create_session_options, ort_options)
RELEASER(release_session_options, ort_options)
static ort_status *set_execution_mode(ort_options *options, int mode) {
  (void)options;
  NOTE("execution mode %d", mode);
  RETURN;
}
static ort_status *set_optimization_level(ort_options *options, int level) {
  (void)options;
  NOTE("optimization level %d", level);
  RETURN;
}
static ort_status *set_intra_op_thread_count(ort_options *options, int count) {
  (void)options;
  NOTE("intra-op threads %d", count);
  RETURN;
}
static ort_status *set_inter_op_thread_count(ort_options *options, int count) {
  (void)options;
  NOTE("inter-op threads %d", count);
  RETURN;
}
static ort_status *add_session_config_entry(ort_options *options, const char *key,
                                            const char *value) {
  (void)options;
  NOTE("session %s=%s", key, value);
  RETURN;
}
static ort_status *add_external_files_in_memory(ort_options *options, const char *const *names,
                                                char *const *memories, const size_t *counts,
                                                size_t count) {
  (void)options;
  for (size_t index = 0; index < count; index++) {
    NOTE("file %s at %s of %zu bytes", names[index], memories[index] ? "memory" : "nothing",
         counts[index]);
  }
  RETURN;
}

static void note_entries(const char *provider, const char *const *keys, const char *const *values,
                         size_t count) {
  for (size_t index = 0; index < count; index++) {
    NOTE("%s %s=%s", provider, keys[index], values[index]);
  }
}
MAKER(create_cuda_options, ort_cuda_options)
RELEASER(release_cuda_options, ort_cuda_options)
static ort_status *update_cuda_options(ort_cuda_options *options, const char *const *keys,
                                       const char *const *values, size_t count) {
  (void)options;
  note_entries("cuda", keys, values, count);
  RETURN;
}
static ort_status *append_cuda(ort_options *options, const ort_cuda_options *cuda) {
  (void)options, (void)cuda;
  NOTE("%s", __func__);
  RETURN;
}
MAKER(create_tensorrt_options, ort_tensorrt_options)
RELEASER(release_tensorrt_options, ort_tensorrt_options)
static ort_status *update_tensorrt_options(ort_tensorrt_options *options, const char *const *keys,
                                           const char *const *values, size_t count) {
  (void)options;
  note_entries("tensorrt", keys, values, count);
  RETURN;
}
static ort_status *append_tensorrt(ort_options *options, const ort_tensorrt_options *tensorrt) {
  (void)options, (void)tensorrt;
  NOTE("%s", __func__);
  RETURN;
}
static ort_status *append_provider(ort_options *options, const char *name, const char *const *keys,
                                   const char *const *values, size_t count) {
  (void)options;
  note_entries(name, keys, values, count);
  NOTE("%s %s", __func__, name);
  RETURN;
}

static ort_status *create_session_from_array(const ort_environment *environment, const void *bytes,
                                             size_t count, const ort_options *options,
                                             ort_session **out) {
  (void)environment, (void)bytes, (void)options;
  NOTE("session of %s", count ? "a graph" : "nothing");
  *out = (ort_session *)&object;
  // Only the first is refused, as it is where operators are left to the CPU.
  if (refusals_left < 0) refusals_left = 1;
  ort_status *result = status(__func__);
  return refusals_left-- > 0 ? result : 0;
}
RELEASER(release_session, ort_session)
static ort_status *session_input_count(const ort_session *session, size_t *count) {
  (void)session;
  *count = 1;
  RETURN;
}
static ort_status *session_output_count(const ort_session *session, size_t *count) {
  (void)session;
  *count = 1;
  RETURN;
}

static ort_status *create_cpu_memory_info(int allocator, int type, ort_memory_info **out) {
  NOTE("memory of the CPU, allocator %d, type %d", allocator, type);
  *out = (ort_memory_info *)&object;
  RETURN;
}
static void release_memory_info(ort_memory_info *info) { (void)info; }
static ort_status *create_tensor_with_data(const ort_memory_info *info, void *memory, size_t count,
                                           const int64_t *extents, size_t rank, int type,
                                           ort_value **out) {
  (void)info;
  char shape[256] = "";
  for (size_t axis = 0; axis < rank; axis++) {
    snprintf(shape + strlen(shape), sizeof(shape) - strlen(shape), "%s%lld", axis ? " " : "",
             (long long)extents[axis]);
  }
  NOTE("tensor [%s] of type %d, %zu bytes%s", shape, type, count, memory ? "" : " of nothing");
  *out = (ort_value *)&object;
  RETURN;
}
static void release_value(ort_value *value) { (void)value; }
static ort_status *create_binding(ort_session *session, ort_binding **out) {
  (void)session;
  *out = (ort_binding *)&object;
  RETURN;
}
RELEASER(release_binding, ort_binding)
static ort_status *bind_input(ort_binding *binding, const char *name, const ort_value *value) {
  (void)binding, (void)value;
  NOTE("input %s", name);
  RETURN;
}
static ort_status *bind_output(ort_binding *binding, const char *name, const ort_value *value) {
  (void)binding, (void)value;
  NOTE("output %s", name);
  RETURN;
}
static ort_status *run_with_binding(ort_session *session, const ort_run_options *options,
                                    const ort_binding *binding) {
  (void)session, (void)options, (void)binding;
  NOTE("run");
  RETURN;
}

// One operator on the CPU, one on the provider that was asked for.
static ort_status *session_assignments(const ort_session *session,
                                       const ort_assigned_subgraph *const **subgraphs,
                                       size_t *count) {
  (void)session;
  static const char names[] = "CP";
  static const ort_assigned_subgraph *list[2];
  list[0] = (const ort_assigned_subgraph *)&names[0];
  list[1] = (const ort_assigned_subgraph *)&names[1];
  *subgraphs = list;
  *count = 2;
  RETURN;
}
static ort_status *assigned_provider(const ort_assigned_subgraph *subgraph, const char **name) {
  *name = *(const char *)subgraph == 'C' ? "CPUExecutionProvider" : "AnotherExecutionProvider";
  RETURN;
}
static ort_status *assigned_nodes(const ort_assigned_subgraph *subgraph,
                                  const ort_assigned_node *const **nodes, size_t *count) {
  static const ort_assigned_node *list[1];
  list[0] = (const ort_assigned_node *)subgraph;
  *nodes = list;
  *count = 1;
  RETURN;
}
static ort_status *assigned_node_name(const ort_assigned_node *node, const char **name) {
  *name = *(const char *)node == 'C' ? "left" : "taken";
  RETURN;
}
static ort_status *assigned_node_operator(const ort_assigned_node *node, const char **name) {
  (void)node;
  *name = "Round";
  RETURN;
}

static const char *version(void) { return VERSION; }
static void *const *functions(uint32_t minor) {
  static void *table[ONNXRUNTIME_LAST_OPTIONAL_SLOT + 1];
  if (minor > 64) return 0;
#define FILL(slot, result, name, parameters)                  \
  {                                                           \
    result(*function) parameters = name;                      \
    memcpy(&table[slot], &function, sizeof(table[slot]));     \
  }
  ONNXRUNTIME_FUNCTIONS(FILL)
  ONNXRUNTIME_OPTIONAL_FUNCTIONS(FILL)
  return table;
}

typedef struct {
  void *const *(*functions)(uint32_t minor);
  const char *(*version)(void);
} entrance;
const entrance *OrtGetApiBase(void) {
  static const entrance base = {functions, version};
  return &base;
}
