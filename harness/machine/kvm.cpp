#include "harness/machine/kvm.h"

#include <unistd.h>

#include <fstream>

namespace doorbell::harness {
namespace {

/// Whether the first "flags" line of /proc/cpuinfo has the word.
bool cpu_flag(const std::filesystem::path& cpuinfo, const std::string& flag) {
    std::ifstream in(cpuinfo);
    for (std::string line; std::getline(in, line);)
        if (line.starts_with("flags")) return (line + " ").find(" " + flag + " ") != line.npos;
    return false;
}

}  // namespace

Kvm look_for_kvm(const std::filesystem::path& root) {
    namespace fs = std::filesystem;
    std::error_code ignored;
    if (!fs::exists(root / "dev/kvm", ignored))
        return {false,
                "there is no /dev/kvm (the kernel module is not loaded, or the firmware has "
                "virtualization off)"};
    bool vmx = cpu_flag(root / "proc/cpuinfo", "vmx"), svm = cpu_flag(root / "proc/cpuinfo", "svm");
    if (!vmx && !svm)
        return {
            false,
            "/dev/kvm exists, but the CPU shows neither vmx nor svm: it is not backed by hardware"};
    bool intel = fs::exists(root / "sys/module/kvm_intel", ignored),
         amd = fs::exists(root / "sys/module/kvm_amd", ignored);
    if (!(vmx && intel) && !(svm && amd))
        return {false,
                "/dev/kvm exists, but neither kvm_intel nor kvm_amd is loaded: it is not backed by "
                "hardware"};
    if (access((root / "dev/kvm").c_str(), R_OK | W_OK) != 0)
        return {false, "/dev/kvm cannot be opened by this user (join the group kvm)"};
    return {true,
            vmx && intel ? "backed by vmx, module kvm_intel" : "backed by svm, module kvm_amd"};
}

}  // namespace doorbell::harness
