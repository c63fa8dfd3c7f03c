#include "harness/system/gunzip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <array>

namespace doorbell::harness {
namespace {

constexpr std::string_view gzip_magic = "\x1f\x8b\x08";

}  // namespace

struct Gunzip::Stream {
    z_stream z{};
    uint64_t taken = 0;
    bool open = false, between = false;

    Stream() { open = inflateInit2(&z, 15 + 16) == Z_OK; }
    ~Stream() { inflateEnd(&z); }
    Stream(const Stream&) = delete;
};

Gunzip::Gunzip(Sink sink) : sink_(std::move(sink)) {}
Gunzip::~Gunzip() = default;

void Gunzip::feed(std::string_view bytes) {
    if (known_) return stream_ ? unpack(bytes) : sink_(bytes);
    first_ += bytes;
    std::string_view start = std::string_view(first_).substr(0, gzip_magic.size());
    if (gzip_magic.starts_with(start) && start.size() < gzip_magic.size()) return;
    known_ = true;
    if (start == gzip_magic) stream_ = std::make_unique<Stream>();
    stream_ ? unpack(first_) : sink_(first_);
    first_.clear();
}

void Gunzip::unpack(std::string_view bytes) {
    Stream& s = *stream_;
    if (!trouble_.empty()) return;
    std::array<unsigned char, 65536> out;
    s.z.next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
    s.z.avail_in = static_cast<unsigned>(bytes.size());
    while (s.z.avail_in != 0) {
        if (s.between) {
            // After a member comes another one, or padding, which gzip ignores too.
            if (*s.z.next_in != static_cast<unsigned char>(gzip_magic[0])) return;
            inflateReset(&s.z);
            s.between = false;
        }
        s.z.next_out = out.data();
        s.z.avail_out = out.size();
        int result = s.open ? inflate(&s.z, Z_NO_FLUSH) : Z_MEM_ERROR;
        sink_({reinterpret_cast<char*>(out.data()), out.size() - s.z.avail_out});
        s.between = result == Z_STREAM_END;
        if (result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR) continue;
        trouble_ = fmt::format("its gzip data is damaged after {} bytes ({})", s.z.total_out,
                               s.z.msg != nullptr ? s.z.msg : zError(result));
        return;
    }
}

std::string Gunzip::end() {
    if (!known_ && !first_.empty()) sink_(first_);
    first_.clear();
    known_ = true;
    if (!trouble_.empty() || !stream_ || stream_->between) return trouble_;
    return "its gzip data ends in the middle";
}

std::string known_packing(std::string_view first) {
    struct Packing {
        std::string_view magic;
        const char *name, *command;
    };
    static constexpr Packing all[] = {
        {{"\xfd"
          "7zXZ\0",
          6},
         "xz",
         "xz -dc"},
        {"\x28\xb5\x2f\xfd", "zstd", "zstd -dc"},
        {"BZh", "bzip2", "bzip2 -dc"},
        {"\x04\x22\x4d\x18", "lz4", "lz4 -dc"},
        {"PK\x03\x04", "a zip archive", "unzip -p"},
        {"\x1f\x9d", "compress", "uncompress -c"},
    };
    for (const Packing& one : all)
        if (first.starts_with(one.magic))
            return fmt::format("the input looks like {}: {} FILE | doorbell attach -", one.name,
                               one.command);
    return {};
}

}  // namespace doorbell::harness
