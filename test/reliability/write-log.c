// LD_PRELOAD library: logs what a program does to the files of one folder, in order, into one file. A sync is logged
// and not carried out. KERB_WRITE_LOG: the log's path; KERB_WRITE_LOG_FOLDER: the folder, absolute, without links.
//
// A record: u8 operation, u8 length of the name, u16 0, u32 length of the data, u64 offset; then name and data.
// Operations: 1 create, 2 write, 3 truncate (offset = size), 4 sync (name "." = the folder), 5 unlink,
// 6 rename (data = the new name).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, WRITE, TRUNCATE, SYNC, UNLINK, RENAME };
enum { DESCRIPTORS = 4096, NAME_MAX_BYTES = 64 };

static char names[DESCRIPTORS][NAME_MAX_BYTES];
static int logFd = -1;
static const char *folder;
static size_t folderLength;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("KERB_WRITE_LOG");
  folder = getenv("KERB_WRITE_LOG_FOLDER");
  if (path == NULL || folder == NULL) return;
  folderLength = strlen(folder);
  logFd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void record(int operation, const char *name, uint64_t offset, const void *data, uint32_t length) {
  if (logFd < 0) return;
  uint8_t head[16] = {0};
  head[0] = (uint8_t)operation;
  head[1] = (uint8_t)strlen(name);
  memcpy(head + 4, &length, 4);
  memcpy(head + 8, &offset, 8);
  struct iovec parts[3] = {{head, sizeof head}, {(void *)name, strlen(name)}, {(void *)data, length}};
  size_t total = sizeof head + strlen(name) + length;
  if (syscall(SYS_writev, logFd, parts, 3) != (ssize_t)total) abort();
}

// The name of a path in the folder; NULL for any other. "-shm" files never outlive a process.
static const char *nameOf(const char *path) {
  if (logFd < 0 || path == NULL || strncmp(path, folder, folderLength) != 0) return NULL;
  if (path[folderLength] == 0) return ".";
  if (path[folderLength] != '/' || strchr(path + folderLength + 1, '/') != NULL) return NULL;
  const char *name = path + folderLength + 1;
  size_t length = strlen(name);
  if (length >= NAME_MAX_BYTES || (length > 4 && strcmp(name + length - 4, "-shm") == 0)) return NULL;
  return name;
}

static const char *openName(int fd) {
  return fd >= 0 && fd < DESCRIPTORS && names[fd][0] != 0 ? names[fd] : NULL;
}

static int openLogged(int at, const char *path, int flags, mode_t mode) {
  const char *name = nameOf(path);
  struct stat found;
  pthread_mutex_lock(&lock);
  int existed = name == NULL || stat(path, &found) == 0;
  int fd = (int)syscall(SYS_openat, at, path, flags, mode);
  if (fd >= 0 && fd < DESCRIPTORS) {
    names[fd][0] = 0;
    if (name != NULL) {
      strcpy(names[fd], name);
      if (!existed) record(CREATE, name, 0, NULL, 0);
      else if (flags & O_TRUNC) record(TRUNCATE, name, 0, NULL, 0);
    }
  }
  pthread_mutex_unlock(&lock);
  return fd;
}

#define MODE(flags)                        \
  mode_t mode = 0;                         \
  if ((flags) & (O_CREAT | O_TMPFILE)) {   \
    va_list list;                          \
    va_start(list, flags);                 \
    mode = (mode_t)va_arg(list, int);      \
    va_end(list);                          \
  }

int open(const char *path, int flags, ...) { MODE(flags) return openLogged(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return openLogged(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return openLogged(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return openLogged(at, path, flags, mode); }

int close(int fd) {
  if (fd >= 0 && fd < DESCRIPTORS) names[fd][0] = 0;
  return (int)syscall(SYS_close, fd);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
  const char *name = openName(fd);
  if (name == NULL) return syscall(SYS_pwrite64, fd, data, length, offset);
  pthread_mutex_lock(&lock);
  ssize_t done = syscall(SYS_pwrite64, fd, data, length, offset);
  if (done > 0) record(WRITE, name, (uint64_t)offset, data, (uint32_t)done);
  pthread_mutex_unlock(&lock);
  return done;
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }

ssize_t write(int fd, const void *data, size_t length) {
  const char *name = openName(fd);
  if (name == NULL) return syscall(SYS_write, fd, data, length);
  pthread_mutex_lock(&lock);
  ssize_t done = syscall(SYS_write, fd, data, length);
  if (done > 0) record(WRITE, name, (uint64_t)(lseek(fd, 0, SEEK_CUR) - done), data, (uint32_t)done);
  pthread_mutex_unlock(&lock);
  return done;
}

int ftruncate64(int fd, off64_t size) {
  const char *name = openName(fd);
  pthread_mutex_lock(&lock);
  int status = (int)syscall(SYS_ftruncate, fd, size);
  if (status == 0 && name != NULL) record(TRUNCATE, name, (uint64_t)size, NULL, 0);
  pthread_mutex_unlock(&lock);
  return status;
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int fsync(int fd) {
  const char *name = openName(fd);
  if (name == NULL) return (int)syscall(SYS_fsync, fd);
  pthread_mutex_lock(&lock);
  record(SYNC, name, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  return 0;
}
int fdatasync(int fd) { return fsync(fd); }

int unlink(const char *path) {
  const char *name = nameOf(path);
  pthread_mutex_lock(&lock);
  int status = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
  if (status == 0 && name != NULL) record(UNLINK, name, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  return status;
}

int rename(const char *from, const char *to) {
  const char *name = nameOf(from), *target = nameOf(to);
  pthread_mutex_lock(&lock);
  int status = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
  if (status == 0 && name != NULL && target != NULL) record(RENAME, name, 0, target, (uint32_t)strlen(target));
  pthread_mutex_unlock(&lock);
  return status;
}
