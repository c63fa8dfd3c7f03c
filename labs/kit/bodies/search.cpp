// Bodies that keep and look up keys: tables, trees, lists.
#include "labs/kit/bodies/body.h"

namespace doorbell::labs::bodies {
namespace {

/// Open addressing with linear probing; key 0 means empty.
struct Slot {
    u64 key, value;
};
template <u64 slots, u64 keys>
struct OpenTable {
    Slot table[slots];
    u64 fresh[keys];
    Draw draw;

    void clear() {
        for (Slot& slot : table) slot = {};
    }
    Slot& find(u64 key) {
        u64 at = key * 0x9E3779B97F4A7C15 >> 32;
        for (;; ++at) {
            Slot& slot = table[at % slots];
            if (slot.key == key || slot.key == 0) return slot;
        }
    }
    void fill() {
        clear();
        for (u64 i = 1; i <= keys; ++i) find(mix(i)) = {mix(i), i};
    }
};
using InsertTable = OpenTable<16384, 8192>;
using LookupTable = OpenTable<65536, 32768>;

struct ChainedTable {
    struct Node {
        Node* next;
        u64 key, value;
    };
    static constexpr u64 count = 16384;
    Node* buckets[count];
    Node nodes[count];
    Draw draw;

    static u64 bucket_of(u64 key) { return key * 0x9E3779B97F4A7C15 >> 50; }
};
static_assert(ChainedTable::count == 1 << 14);

/// Numbers that grow, with gaps of random size.
template <u64 count>
struct SortedArray {
    u64 keys[count];
    Draw draw;
};
constexpr u64 gap = 1000;
using Sorted = SortedArray<65536>;

/// A B-tree of four levels, each node 15 keys in three lines; a node's children are known by their
/// numbers.
struct BTree {
    static constexpr u32 keys = 15, inner = 1 + 16 + 256, count = inner + 4096;
    struct Node {
        u64 keys[BTree::keys];
        u32 children[BTree::keys + 1];
        u64 unused;
    };
    Node nodes[count];
    Draw draw;

    /// Gives the keys of a node and its children in order, from `next` on.
    void fill(u32 node, u64& next) {
        Node& n = nodes[node];
        for (u32 i = 0; i <= keys; ++i) {
            n.children[i] = node < inner ? node * (keys + 1) + 1 + i : 0;
            if (node < inner) fill(n.children[i], next);
            if (i < keys) n.keys[i] = next, next += gap;
        }
    }
};
constexpr u64 b_tree_keys = u64{BTree::count} * BTree::keys;

struct TreeNode {
    TreeNode *left, *right;
    u64 key, value;
};
template <u64 count>
struct Tree {
    TreeNode nodes[count];
    TreeNode* root;
    u64 keys[count];
    Draw draw;

    void insert(TreeNode& node, u64 key) {
        node = {nullptr, nullptr, key, key >> 7};
        TreeNode** at = &root;
        while (*at != nullptr) at = key < (*at)->key ? &(*at)->left : &(*at)->right;
        *at = &node;
    }
};
using SmallTree = Tree<1024>;
using LargeTree = Tree<16384>;

u64 walk(const TreeNode* node, u64 sum) {
    if (node == nullptr) return sum;
    sum = walk(node->left, sum);
    return walk(node->right, sum * 31 + node->key);
}

struct List {
    struct Node {
        Node* next;
        u64 key;
    };
    static constexpr u64 count = 384;
    Node nodes[count];
    Draw draw;
};

/// Entries in the order in which they were last used.
struct Lru {
    struct Entry {
        Entry *before, *after;
        u64 key, uses;
    };
    static constexpr u64 count = 4096;
    Entry entries[count];
    Entry head;
    Draw draw;

    static void link(Entry& after, Entry& e) {
        e.before = &after;
        e.after = after.after;
        after.after->before = &e;
        after.after = &e;
    }
};

}  // namespace

void prepare_hash_insert(void* m, u64 seed) {
    auto& table = as<InsertTable>(m);
    table.clear();
    Random random(seed);
    for (u64& key : table.fresh) key = random.next() | 1;
}
u64 run_hash_insert(void* m) {
    auto& table = as<InsertTable>(m);
    u64 collisions = 0;
    for (u64 key : table.fresh) {
        Slot& slot = table.find(key);
        collisions += slot.key != 0;
        slot = {key, key >> 3};
    }
    return collisions * 31 + table.table[7].key + table.find(table.fresh[9]).value;
}

void prepare_hash_hit(void* m, u64 seed) {
    as<LookupTable>(m).fill();
    as<LookupTable>(m).draw.seed(seed);
}
u64 run_hash_hit(void* m) {
    auto& table = as<LookupTable>(m);
    u64 sum = 0;
    for (u64 i = 0; i < 4096; ++i) sum += table.find(mix(1 + table.draw.below(32768))).value;
    return sum;
}

void prepare_hash_miss(void* m, u64 seed) { prepare_hash_hit(m, seed); }
u64 run_hash_miss(void* m) {
    auto& table = as<LookupTable>(m);
    u64 found = 0, last = 0;
    for (u64 i = 0; i < 4096; ++i) {
        last = mix(40000 + table.draw.below(1 << 30));
        found += table.find(last).key;
    }
    return found + last;
}

void prepare_chained_hash(void* m, u64 seed) {
    auto& table = as<ChainedTable>(m);
    for (auto*& bucket : table.buckets) bucket = nullptr;
    // Keys come in any order, so that neighbours in memory are not neighbours in a chain.
    for (u64 i = 0; i < ChainedTable::count; ++i) {
        u64 key = mix(i);
        auto*& bucket = table.buckets[ChainedTable::bucket_of(key)];
        table.nodes[i] = {bucket, key, i};
        bucket = &table.nodes[i];
    }
    table.draw.seed(seed);
}
u64 run_chained_hash(void* m) {
    auto& table = as<ChainedTable>(m);
    u64 sum = 0;
    for (u64 i = 0; i < 4096; ++i) {
        // Half of them are there.
        u64 key = mix(table.draw.below(2 * ChainedTable::count));
        const auto* node = table.buckets[ChainedTable::bucket_of(key)];
        while (node != nullptr && node->key != key) node = node->next;
        if (node != nullptr) sum += node->value;
    }
    return sum;
}

void prepare_binary_search(void* m, u64 seed) {
    auto& sorted = as<Sorted>(m);
    Random random(seed);
    u64 key = 0;
    for (u64& k : sorted.keys) k = key += 1 + random.below(2 * gap);
    sorted.draw.seed(seed);
}
u64 run_binary_search(void* m) {
    auto& sorted = as<Sorted>(m);
    u64 sum = 0, limit = sorted.keys[65535];
    for (u64 i = 0; i < 2048; ++i) {
        u64 key = sorted.draw.below(limit), low = 0, high = 65536;
        while (low < high) {
            u64 middle = (low + high) / 2;
            if (sorted.keys[middle] < key)
                low = middle + 1;
            else
                high = middle;
        }
        sum = sum * 3 + low;
    }
    return sum;
}

void prepare_b_tree(void* m, u64 seed) {
    u64 next = 0;
    as<BTree>(m).fill(0, next);
    as<BTree>(m).draw.seed(seed);
}
u64 run_b_tree(void* m) {
    auto& tree = as<BTree>(m);
    u64 sum = 0;
    for (u64 i = 0; i < 2048; ++i) {
        u64 key = tree.draw.below(b_tree_keys * gap);
        u32 node = 0, at;
        for (unsigned level = 0;; ++level) {
            const auto& n = tree.nodes[node];
            for (at = 0; at < BTree::keys && n.keys[at] < key; ++at) {
            }
            if (level == 3) break;
            node = n.children[at];
        }
        sum = sum * 3 + node * 16 + at;
    }
    return sum;
}

void prepare_tree_insert(void* m, u64 seed) { as<SmallTree>(m).draw.seed(seed); }
u64 run_tree_insert(void* m) {
    auto& tree = as<SmallTree>(m);
    tree.root = nullptr;
    for (TreeNode& node : tree.nodes) tree.insert(node, tree.draw.next());
    return walk(tree.root, 0);
}

void prepare_tree_lookup(void* m, u64 seed) {
    auto& tree = as<LargeTree>(m);
    tree.root = nullptr;
    for (u64 i = 0; i < 16384; ++i) tree.insert(tree.nodes[i], tree.keys[i] = mix(seed + i));
    tree.draw.seed(seed);
}
u64 run_tree_lookup(void* m) {
    auto& tree = as<LargeTree>(m);
    u64 sum = 0;
    for (u64 i = 0; i < 1024; ++i) {
        u64 key = tree.keys[tree.draw.below(16384)];
        const TreeNode* node = tree.root;
        while (node->key != key) node = key < node->key ? node->left : node->right;
        sum += node->value;
    }
    return sum;
}

void prepare_list_insert(void* m, u64 seed) { as<List>(m).draw.seed(seed); }
u64 run_list_insert(void* m) {
    auto& list = as<List>(m);
    List::Node* first = nullptr;
    for (auto& node : list.nodes) {
        u64 key = list.draw.next();
        List::Node** at = &first;
        while (*at != nullptr && (*at)->key < key) at = &(*at)->next;
        node = {*at, key};
        *at = &node;
    }
    u64 sum = 0;
    for (auto* node = first; node != nullptr; node = node->next) sum = sum * 31 + node->key;
    return sum;
}

void prepare_lru(void* m, u64 seed) {
    auto& lru = as<Lru>(m);
    lru.head.before = lru.head.after = &lru.head;
    for (u64 i = 0; i < Lru::count; ++i) {
        lru.entries[i] = {nullptr, nullptr, i, 0};
        Lru::link(lru.head, lru.entries[i]);
    }
    lru.draw.seed(seed);
}
u64 run_lru(void* m) {
    auto& lru = as<Lru>(m);
    u64 sum = 0;
    for (u64 i = 0; i < 4096; ++i) {
        // Some are used more often than others.
        auto& e = lru.entries[lru.draw.below(1 + lru.draw.below(Lru::count))];
        e.before->after = e.after;
        e.after->before = e.before;
        Lru::link(lru.head, e);
        ++e.uses;
        // The one that would have to leave.
        sum = sum * 3 + lru.head.before->key;
    }
    return sum;
}

}  // namespace doorbell::labs::bodies
