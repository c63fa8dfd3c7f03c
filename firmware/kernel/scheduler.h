// Who runs next: the ready tasks stand in a ring, the running one among them, and the turn goes
// round. Pure logic on any type with `next` and `previous`; gates.S follows `next` itself.
#pragma once
#include <cstddef>

namespace doorbell::kernel {

template <class T>
class Scheduler {
  public:
    /// Who runs when nobody is ready; may be null. It stands in a ring of its own.
    void set_idle(T* idle) {
        idle_ = idle;
        if (idle != nullptr) idle->next = idle->previous = idle;
    }
    T* idle() const { return idle_; }
    size_t ready() const { return ready_; }

    /// Makes `task` ready: it gets its turn after everyone who is ready now. `running` is the task
    /// that holds the processor, or null before the first.
    void add(T& task, T* running) {
        T* place = ready_ == 0 ? nullptr : running_or_first(running);
        if (place == nullptr) {
            task.next = task.previous = &task;
            first_ = &task;
        } else {
            task.next = place;
            task.previous = place->previous;
            place->previous->next = &task;
            place->previous = &task;
        }
        ++ready_;
    }

    /// Takes `task` out of the ring: it waits, or has ended. Returns who is next: the one behind
    /// it, the idle task, or null where there is neither.
    T* remove(T& task) {
        --ready_;
        T* next = task.next;
        if (first_ == &task) first_ = next;
        task.previous->next = next;
        next->previous = task.previous;
        task.next = task.previous = nullptr;
        if (ready_ == 0) first_ = nullptr;
        return ready_ == 0 ? idle_ : next;
    }

    /// Who starts, where nobody runs yet: the task that was added first, or the idle task, or null.
    T* first() const { return first_ != nullptr ? first_ : idle_; }

    // Where gates.S finds what an exit changes.
    static constexpr size_t first_at() { return offsetof(Scheduler, first_); }
    static constexpr size_t idle_at() { return offsetof(Scheduler, idle_); }
    static constexpr size_t ready_at() { return offsetof(Scheduler, ready_); }

  private:
    T* running_or_first(T* running) const {
        return running == nullptr || running == idle_ ? first_ : running;
    }

    T* first_ = nullptr;
    T* idle_ = nullptr;
    size_t ready_ = 0;
};

}  // namespace doorbell::kernel
