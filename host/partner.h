// The other side of a measurement: a thread or a process that is certain to end with it.
#pragma once
#include <sys/types.h>

#include <functional>
#include <string_view>
#include <thread>
#include <utility>

namespace doorbell::host {

enum class As { thread, process };

/// The value of a case's "who" key.
inline As as_of(std::string_view who) { return who == "process" ? As::process : As::thread; }

class Partner {
  public:
    /// Runs `work` on `cpu`. A process shares only what Shared<T> holds and open files.
    Partner(As as, int cpu, std::function<void()> work);
    /// Waits until it has ended; tell the work to end before. A process that does not end
    /// within seconds is killed; it also ends when its parent does.
    ~Partner();
    Partner(const Partner&) = delete;

    pid_t pid() const { return pid_; }  ///< of a process; -1 for a thread
    /// Waits until it has ended; returns the status of waitpid(2), 0 for a thread.
    int join();

  private:
    pid_t pid_ = -1;
    std::thread thread_;
};

void* map_shared(size_t bytes);
void unmap_shared(void* memory, size_t bytes);

/// A T, zeroed, in memory that a forked partner shares.
template <class T>
class Shared {
  public:
    Shared() : object_(new(map_shared(sizeof(T))) T{}) {}
    ~Shared() { unmap_shared(object_, sizeof(T)); }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    T* operator->() const { return object_; }
    T& operator*() const { return *object_; }

  private:
    T* object_;
};

/// Closes a file at the end.
class File {
  public:
    explicit File(int fd = -1) : fd_(fd) {}
    File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    File& operator=(File&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~File();
    int operator*() const { return fd_; }

  private:
    int fd_;
};

}  // namespace doorbell::host
