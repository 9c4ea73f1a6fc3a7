// A table of the functions of ONNX Runtime's C API that this package calls, filled at run time.
//
// The library has one entrance, which gives an array of pointers to functions. What stands at an
// index of it is the same in every release that has it, so an index and a prototype are all that is
// needed to call it, and the package builds where ONNX Runtime is absent.
#ifndef STREAMFLOW_ONNX_RUNTIME_H
#define STREAMFLOW_ONNX_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __clang__
// Only the table's own members are annotated: a loaded table has no empty place but those that are
// named nullable.
#pragma clang diagnostic ignored "-Wnullability-completeness"
#else
#define _Nonnull
#define _Nullable
#endif

/// The release, as in 1.23, whose functions are asked for: the oldest that has all that are needed.
#define ONNXRUNTIME_MINOR 23
/// The last index of that release, and of the one that the optional functions come with, 1.24.
#define ONNXRUNTIME_LAST_SLOT 389
#define ONNXRUNTIME_LAST_OPTIONAL_SLOT 413

typedef struct ort_status ort_status;
typedef struct ort_environment ort_environment;
typedef struct ort_options ort_options;
typedef struct ort_session ort_session;
typedef struct ort_run_options ort_run_options;
typedef struct ort_memory_info ort_memory_info;
typedef struct ort_value ort_value;
typedef struct ort_binding ort_binding;
typedef struct ort_tensorrt_options ort_tensorrt_options;
typedef struct ort_cuda_options ort_cuda_options;
typedef struct ort_assigned_subgraph ort_assigned_subgraph;
typedef struct ort_assigned_node ort_assigned_node;

// The numbers of the enumerations that are used.
enum { ORT_LOG_FATAL = 4 };
enum { ORT_OPTIMIZE_ALL = 99 };
enum { ORT_EXECUTE_IN_SEQUENCE = 0 };
enum { ORT_ALLOCATOR_DEVICE = 0, ORT_MEMORY_DEFAULT = 0 };
enum { ORT_INVALID_PROTOBUF = 7, ORT_INVALID_GRAPH = 10 };

// FUNCTION(slot, result, name, parameters), in the order of the slots.
#define ONNXRUNTIME_FUNCTIONS(FUNCTION)                                                            \
  FUNCTION(1, int, error_code, (const ort_status *status))                                         \
  FUNCTION(2, const char *, error_message, (const ort_status *status))                             \
  FUNCTION(3, ort_status *, create_environment,                                                    \
           (int severity, const char *name, ort_environment **environment))                        \
  FUNCTION(8, ort_status *, create_session_from_array,                                             \
           (const ort_environment *environment, const void *bytes, size_t count,                   \
            const ort_options *options, ort_session **session))                                    \
  FUNCTION(10, ort_status *, create_session_options, (ort_options * *options))                     \
  FUNCTION(13, ort_status *, set_execution_mode, (ort_options * options, int mode))                \
  FUNCTION(23, ort_status *, set_optimization_level, (ort_options * options, int level))           \
  FUNCTION(24, ort_status *, set_intra_op_thread_count, (ort_options * options, int count))        \
  FUNCTION(25, ort_status *, set_inter_op_thread_count, (ort_options * options, int count))        \
  FUNCTION(30, ort_status *, session_input_count, (const ort_session *session, size_t *count))     \
  FUNCTION(31, ort_status *, session_output_count, (const ort_session *session, size_t *count))    \
  FUNCTION(49, ort_status *, create_tensor_with_data,                                              \
           (const ort_memory_info *info, void *memory, size_t count, const int64_t *extents,       \
            size_t rank, int type, ort_value **value))                                             \
  FUNCTION(69, ort_status *, create_cpu_memory_info,                                               \
           (int allocator, int type, ort_memory_info **info))                                      \
  FUNCTION(92, void, release_environment, (ort_environment * environment))                         \
  FUNCTION(93, void, release_status, (ort_status * status))                                        \
  FUNCTION(94, void, release_memory_info, (ort_memory_info * info))                                \
  FUNCTION(95, void, release_session, (ort_session * session))                                     \
  FUNCTION(96, void, release_value, (ort_value * value))                                           \
  FUNCTION(100, void, release_session_options, (ort_options * options))                            \
  FUNCTION(125, ort_status *, available_providers, (char ***names, int *count))                    \
  FUNCTION(126, ort_status *, release_available_providers, (char **names, int count))              \
  FUNCTION(130, ort_status *, add_session_config_entry,                                            \
           (ort_options * options, const char *key, const char *value))                            \
  FUNCTION(133, ort_status *, run_with_binding,                                                    \
           (ort_session * session, const ort_run_options *options, const ort_binding *binding))    \
  FUNCTION(134, ort_status *, create_binding, (ort_session * session, ort_binding **binding))      \
  FUNCTION(135, void, release_binding, (ort_binding * binding))                                    \
  FUNCTION(136, ort_status *, bind_input,                                                          \
           (ort_binding * binding, const char *name, const ort_value *value))                      \
  FUNCTION(137, ort_status *, bind_output,                                                         \
           (ort_binding * binding, const char *name, const ort_value *value))                      \
  FUNCTION(170, ort_status *, append_tensorrt,                                                     \
           (ort_options * options, const ort_tensorrt_options *tensorrt))                          \
  FUNCTION(171, ort_status *, create_tensorrt_options, (ort_tensorrt_options * *tensorrt))         \
  FUNCTION(172, ort_status *, update_tensorrt_options,                                             \
           (ort_tensorrt_options * tensorrt, const char *const *keys, const char *const *values,   \
            size_t count))                                                                         \
  FUNCTION(174, void, release_tensorrt_options, (ort_tensorrt_options * tensorrt))                 \
  FUNCTION(204, ort_status *, append_cuda,                                                         \
           (ort_options * options, const ort_cuda_options *cuda))                                  \
  FUNCTION(205, ort_status *, create_cuda_options, (ort_cuda_options * *cuda))                     \
  FUNCTION(206, ort_status *, update_cuda_options,                                                 \
           (ort_cuda_options * cuda, const char *const *keys, const char *const *values,           \
            size_t count))                                                                         \
  FUNCTION(208, void, release_cuda_options, (ort_cuda_options * cuda))                             \
  FUNCTION(216, ort_status *, append_provider,                                                     \
           (ort_options * options, const char *name, const char *const *keys,                      \
            const char *const *values, size_t count))                                              \
  FUNCTION(254, const char *, build_info, (void))                                                  \
  FUNCTION(279, ort_status *, add_external_files_in_memory,                                        \
           (ort_options * options, const char *const *names, char *const *memories,                \
            const size_t *counts, size_t count))

// Those that 1.24 brought; the places stay empty with an older library.
#define ONNXRUNTIME_OPTIONAL_FUNCTIONS(FUNCTION)                                                   \
  FUNCTION(407, ort_status *, session_assignments,                                                 \
           (const ort_session *session, const ort_assigned_subgraph *const **subgraphs,            \
            size_t *count))                                                                        \
  FUNCTION(408, ort_status *, assigned_provider,                                                   \
           (const ort_assigned_subgraph *subgraph, const char **name))                             \
  FUNCTION(409, ort_status *, assigned_nodes,                                                      \
           (const ort_assigned_subgraph *subgraph, const ort_assigned_node *const **nodes,         \
            size_t *count))                                                                        \
  FUNCTION(410, ort_status *, assigned_node_name,                                                  \
           (const ort_assigned_node *node, const char **name))                                     \
  FUNCTION(412, ort_status *, assigned_node_operator,                                              \
           (const ort_assigned_node *node, const char **name))

#define ONNXRUNTIME_MEMBER(slot, result, name, parameters) result(*_Nonnull name) parameters;
#define ONNXRUNTIME_OPTIONAL_MEMBER(slot, result, name, parameters) \
  result(*_Nullable name) parameters;
typedef struct {
  ONNXRUNTIME_FUNCTIONS(ONNXRUNTIME_MEMBER)
  ONNXRUNTIME_OPTIONAL_FUNCTIONS(ONNXRUNTIME_OPTIONAL_MEMBER)
} onnxruntime_functions;
#undef ONNXRUNTIME_MEMBER
#undef ONNXRUNTIME_OPTIONAL_MEMBER

/// How loading a library went.
typedef enum {
  ONNXRUNTIME_LOADED,
  /// The loader refuses the file; the text is its reason.
  ONNXRUNTIME_UNREADABLE,
  /// The library is older than `ONNXRUNTIME_MINOR`, or of another major; the text is its version.
  ONNXRUNTIME_UNSUPPORTED,
} onnxruntime_result;

/// Loads ONNX Runtime's library and fills the table, once for a process: the library is never closed.
///
/// `text` becomes the library's version, or what is wrong, good until this thread's next call.
onnxruntime_result onnxruntime_load(const char *_Nonnull path,
                                    onnxruntime_functions *_Nonnull table,
                                    const char *_Nullable *_Nonnull text);

#endif
