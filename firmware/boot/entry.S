// From power-on to C++: one 32-bit entry for the PVH boot protocol (qemu -kernel) and for multiboot2 (GRUB, on
// BIOS and UEFI). Both arrive in protected mode without paging, interrupts off, EBX = address of the boot
// information. Here: identity-mapped 4 GiB, long mode, a stack, boot_main(information).
//
// PVH: Xen, "x86/HVM direct boot ABI" (docs/misc/pvh). Multiboot2: specification 2.0, section 3.
// Long mode: SDM vol. 3A, "Initializing IA-32e Mode".

#define MULTIBOOT2_MAGIC 0xE85250D6
#define XEN_ELFNOTE_PHYS32_ENTRY 18

#define CR0_PE (1 << 0)
#define CR0_WP (1 << 16)
#define CR0_PG (1 << 31)
#define CR4_PAE (1 << 5)
#define MSR_EFER 0xC0000080
#define EFER_LME (1 << 8)
#define EFER_NXE (1 << 11)
#define PAGE_PRESENT_WRITE 3
#define PAGE_LARGE 0x80

        .section .multiboot2, "a"
        .align 8
multiboot2_header:
        .long MULTIBOOT2_MAGIC
        .long 0
        .long multiboot2_end - multiboot2_header
        .long -(MULTIBOOT2_MAGIC + (multiboot2_end - multiboot2_header))
        // Information request: memory map (6); ACPI tags come unasked.
        .align 8
        .short 1, 0
        .long 12
        .long 6
        // A frame buffer where there is one (flag 1: not required), of whatever size and depth.
        .align 8
        .short 5, 1
        .long 20
        .long 0, 0, 0
        .align 8
        .short 0, 0
        .long 8
multiboot2_end:

        .section .note.pvh, "a", @note
        .align 4
        .long 4, 4, XEN_ELFNOTE_PHYS32_ENTRY
        .asciz "Xen"
        .long boot_entry

        // Fills the table at `entries` up to `end` with what EAX is, moved on by `step` each time.
        .macro  FILL_TABLE entries, end, step
        movl    $\entries, %ecx
1:      movl    %eax, (%ecx)
        addl    $\step, %eax
        addl    $8, %ecx
        cmpl    $(\end), %ecx
        jb      1b
        .endm

        .section .text.boot, "ax"
        .code32
        .global boot_entry
boot_entry:
        cld
        cli
        movl    $boot_stack_top, %esp
        movl    %ebx, %edi              // first argument of boot_main, kept until then

        // Without long mode there is nothing to measure with: say so on COM1 and stop.
        movl    $0x80000000, %eax
        cpuid
        cmpl    $0x80000001, %eax
        jb      no_long_mode
        movl    $0x80000001, %eax
        cpuid
        btl     $29, %edx
        jnc     no_long_mode
        movl    %edx, %ebp              // bit 20: no-execute

        // One PML4 entry, four PDPT entries, 4 * 512 pages of 2 MiB.
        movl    $boot_pdpt, %eax
        orl     $PAGE_PRESENT_WRITE, %eax
        movl    %eax, boot_pml4
        movl    $boot_pd, %eax
        orl     $PAGE_PRESENT_WRITE, %eax
        FILL_TABLE boot_pdpt, "boot_pdpt + 4 * 8", 0x1000
        movl    $(PAGE_PRESENT_WRITE | PAGE_LARGE), %eax
        FILL_TABLE boot_pd, "boot_pd + 4 * 4096", 0x200000

        movl    %cr4, %eax
        orl     $CR4_PAE, %eax
        movl    %eax, %cr4
        movl    $boot_pml4, %eax
        movl    %eax, %cr3
        movl    $MSR_EFER, %ecx
        rdmsr
        orl     $EFER_LME, %eax
        btl     $20, %ebp
        jnc     3f
        orl     $EFER_NXE, %eax
3:      wrmsr
        movl    %cr0, %eax
        orl     $(CR0_PE | CR0_WP | CR0_PG), %eax
        movl    %eax, %cr0
        lgdt    boot_gdt_pointer
        ljmp    $0x08, $boot_long

no_long_mode:
        movl    $no_long_mode_text, %esi
4:      lodsb
        testb   %al, %al
        jz      5f
        movw    $0x3F8, %dx
        outb    %al, %dx
        jmp     4b
5:      hlt
        jmp     5b

        .code64
boot_long:
        movl    $0x10, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        xorl    %eax, %eax
        movl    %eax, %fs
        movl    %eax, %gs
        movl    %edi, %edi
        movq    $boot_stack_top, %rsp
        xorl    %ebp, %ebp              // ends every backtrace
        call    boot_main
6:      hlt
        jmp     6b

        .section .rodata.boot, "a"
        .align 8
boot_gdt:
        .quad 0
        .quad 0x00209A0000000000        // 64-bit code, ring 0
        .quad 0x0000920000000000        // data, ring 0
boot_gdt_pointer:
        .short boot_gdt_pointer - boot_gdt - 1
        .long boot_gdt
no_long_mode_text:
        .asciz "doorbell: this processor has no 64-bit mode\r\n"

        .section .bss.boot, "aw", @nobits
        .align 4096
boot_pml4:
        .skip 4096
boot_pdpt:
        .skip 4096
boot_pd:
        .skip 4 * 4096
        // Stacks. Each has a guard page under it, which paging leaves unmapped (guard_pages lists them).
        .global boot_stack_top, double_fault_stack_top, nmi_stack_top, machine_check_stack_top, guard_pages
boot_stack_guard:
        .skip 4096
        .skip 8 * 4096
boot_stack_top:
double_fault_stack_guard:
        .skip 4096
        .skip 2 * 4096
double_fault_stack_top:
nmi_stack_guard:
        .skip 4096
        .skip 2 * 4096
nmi_stack_top:
machine_check_stack_guard:
        .skip 4096
        .skip 2 * 4096
machine_check_stack_top:

        .section .rodata.guards, "a"
        .align 8
guard_pages:
        .quad boot_stack_guard, double_fault_stack_guard, nmi_stack_guard, machine_check_stack_guard, 0

        .section .note.GNU-stack, "", @progbits
