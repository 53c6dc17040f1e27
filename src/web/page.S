/* The files of the page, each as it is and packed: page_NAME .. page_NAME_end (see page.c). */
    .section .rodata

    .macro page_file name, file
    .globl page_\name
    .globl page_\name\()_end
    .balign 16
page_\name:
    .incbin "\file"
page_\name\()_end:
    .byte 0
    .endm

    page_file index_html, index.html
    page_file index_html_gz, index.html.gz
    page_file app_js, app.js
    page_file app_js_gz, app.js.gz
    page_file app_css, app.css
    page_file app_css_gz, app.css.gz

    .section .note.GNU-stack, "", %progbits
