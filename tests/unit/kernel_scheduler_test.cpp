// The scheduler's ring: whose turn it is.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "firmware/kernel/scheduler.h"

namespace doorbell::kernel {
namespace {

struct Node {
    Node* next = nullptr;
    Node* previous = nullptr;
    char name = '?';
};

/// The names in the order in which they run, one round from `from`.
std::string round_from(Node* from) {
    std::string names;
    Node* at = from;
    do {
        names += at->name;
        EXPECT_EQ(at->next->previous, at);
        at = at->next;
    } while (at != from && names.size() < 100);
    return names;
}

struct SchedulerTest : testing::Test {
    Node a{.name = 'a'}, b{.name = 'b'}, c{.name = 'c'}, d{.name = 'd'}, idle{.name = 'i'};
    Scheduler<Node> scheduler;
};

TEST_F(SchedulerTest, TurnsGoRoundInTheOrderOfArrival) {
    for (Node* n : {&a, &b, &c}) scheduler.add(*n, nullptr);
    EXPECT_EQ(scheduler.first(), &a);
    EXPECT_EQ(round_from(&a), "abc");
}

TEST_F(SchedulerTest, ALaterTaskWaitsForEveryReadyOne) {
    for (Node* n : {&a, &b, &c}) scheduler.add(*n, nullptr);
    scheduler.add(d, &b);  // while b runs, c and a come first
    EXPECT_EQ(round_from(&b), "bcad");
}

TEST_F(SchedulerTest, ASingleTaskIsItsOwnNext) {
    scheduler.add(a, nullptr);
    EXPECT_EQ(a.next, &a);
    EXPECT_EQ(scheduler.ready(), 1u);
}

TEST_F(SchedulerTest, ALeavingTaskHandsOverToItsNeighbour) {
    for (Node* n : {&a, &b, &c}) scheduler.add(*n, nullptr);
    EXPECT_EQ(scheduler.remove(b), &c);
    EXPECT_EQ(round_from(&c), "ca");
    EXPECT_EQ(scheduler.remove(a), &c);
    EXPECT_EQ(scheduler.remove(c), nullptr);
    EXPECT_EQ(scheduler.first(), nullptr);
    EXPECT_EQ(scheduler.ready(), 0u);
}

TEST_F(SchedulerTest, TheIdleTaskRunsOnlyWhereNobodyElseCan) {
    scheduler.set_idle(&idle);
    EXPECT_EQ(scheduler.first(), &idle);
    scheduler.add(a, &idle);
    EXPECT_EQ(scheduler.first(), &a);
    EXPECT_EQ(round_from(&a), "a");
    scheduler.add(b, &idle);  // still idle: no task has taken the processor yet
    EXPECT_EQ(round_from(&a), "ab");
    EXPECT_EQ(scheduler.remove(a), &b);
    EXPECT_EQ(scheduler.remove(b), &idle);
    EXPECT_EQ(idle.next, &idle);
}

TEST_F(SchedulerTest, AReadyTaskThatDoesNotRunCanBeTakenOut) {
    for (Node* n : {&a, &b, &c}) scheduler.add(*n, nullptr);
    scheduler.remove(a);  // was added first
    EXPECT_EQ(scheduler.first(), &b);
    EXPECT_EQ(round_from(&b), "bc");
}

TEST_F(SchedulerTest, AgainstAPlainListOverRandomSteps) {
    std::mt19937 random(1);
    std::vector<Node> nodes(12);
    for (size_t i = 0; i < nodes.size(); ++i) nodes[i].name = static_cast<char>('a' + i);
    std::vector<Node*> ring;  // ring[0] runs
    for (int step = 0; step < 20000; ++step) {
        Node& n = nodes[random() % nodes.size()];
        auto at = std::find(ring.begin(), ring.end(), &n);
        if (at == ring.end()) {
            scheduler.add(n, ring.empty() ? nullptr : ring[0]);
            ring.push_back(&n);
        } else if (random() % 2) {
            Node* next = at + 1 == ring.end() ? ring[0] : at[1];
            Node* said = scheduler.remove(n);
            ring.erase(at);
            ASSERT_EQ(said, ring.empty() ? nullptr : next);
        } else if (!ring.empty()) {  // a time slice ends
            std::rotate(ring.begin(), ring.begin() + 1, ring.end());
        }
        ASSERT_EQ(scheduler.ready(), ring.size());
        std::string wanted;
        for (Node* r : ring) wanted += r->name;
        if (!ring.empty()) ASSERT_EQ(round_from(ring[0]), wanted);
    }
}

}  // namespace
}  // namespace doorbell::kernel
