#include "firmware/platform/text_screen.h"

#include <algorithm>

namespace doorbell::platform {

void TextScreen::draw(unsigned row, unsigned column) {
    char c = cells_[row][column];
    if (draw_ != nullptr) draw_(display_, row, column, c == 0 ? ' ' : c);
}

void TextScreen::draw_all() {
    for (unsigned row = 0; row < rows_; ++row)
        for (unsigned column = 0; column < columns_; ++column) draw(row, column);
}

/// A character that is there already is not drawn again: memory of a display is slow.
void TextScreen::set(unsigned row, unsigned column, char c) {
    if (cells_[row][column] == c) return;
    cells_[row][column] = c;
    draw(row, column);
}

/// On no display, until it has been drawn anew.
void TextScreen::resize(unsigned columns, unsigned rows) {
    draw_ = nullptr;
    rows = std::clamp(rows, 1u, most_rows);
    while (next_ > rows) next_row();
    rows_ = rows;
    columns_ = std::clamp(columns, 1u, most_columns);
}

/// Moves everything up by a row.
void TextScreen::next_row() {
    for (unsigned row = 1; row < rows_; ++row)
        for (unsigned column = 0; column < columns_; ++column)
            set(row - 1, column, cells_[row][column]);
    --next_;
}

void TextScreen::write_line(std::string_view line) {
    do {
        size_t length = std::min<size_t>(columns_, line.size());
        if (size_t blank = line.rfind(' ', length);
            length < line.size() && blank != 0 && blank != line.npos)
            length = blank;
        if (next_ == rows_) next_row();
        for (unsigned column = 0; column < columns_; ++column) {
            char c = column < length ? line[column] : ' ';
            set(next_, column, c < ' ' || c > '~' ? '?' : c);
        }
        ++next_;
        line.remove_prefix(length);
        if (line.starts_with(' ')) line.remove_prefix(1);
    } while (!line.empty());
}

}  // namespace doorbell::platform
