// Sequences that some servers have taken for the end of a mail, and that are none (CVE-2023-51764 and its kin; hannob's
// smtpsmug has the first ten): each holds a bare CR, a bare LF or a NUL.

export const FALSE_ENDS: readonly string[] = [
  "\n.\n",
  "\r.\r",
  "\r.\n",
  "\n.\r",
  "\n.\r\n",
  "\r\n.\n",
  "\r.\r\n",
  "\r\n.\r",
  "\r\n\0.\r\n",
  "\r\n.\0\r\n",
  "\r\r\n.\r\r\n",
  "\r\n.\r\r\n",
  "\n\r.\n\r",
  "\r\n\r.\r\n",
  "\n\n.\r\n",
];
