// What every page that people open from a mail says alike, in the languages that pages speak.

import type { Language } from "./languages.ts";

export interface PageWords {
  readonly address: string;
  readonly invalidTitle: string;
  readonly invalid: string;
  readonly notNowTitle: string;
  readonly notNow: string;
}

export const PAGE_WORDS: Readonly<Record<Language, PageWords>> = {
  en: {
    address: "Address",
    invalidTitle: "This link does not work",
    invalid: "The link is incomplete or not valid. Nothing was changed.",
    notNowTitle: "This does not work at the moment",
    notNow: "Please try again in a few minutes.",
  },
  de: {
    address: "Adresse",
    invalidTitle: "Dieser Link funktioniert nicht",
    invalid: "Der Link ist unvollständig oder ungültig. Es wurde nichts geändert.",
    notNowTitle: "Das geht im Moment nicht",
    notNow: "Bitte versuchen Sie es in ein paar Minuten noch einmal.",
  },
  fr: {
    address: "Adresse",
    invalidTitle: "Ce lien ne fonctionne pas",
    invalid: "Le lien est incomplet ou n’est pas valide. Rien n’a été modifié.",
    notNowTitle: "Ce n’est pas possible pour le moment",
    notNow: "Veuillez réessayer dans quelques minutes.",
  },
  es: {
    address: "Dirección",
    invalidTitle: "Este enlace no funciona",
    invalid: "El enlace está incompleto o no es válido. No se ha cambiado nada.",
    notNowTitle: "No es posible en este momento",
    notNow: "Inténtelo de nuevo en unos minutos.",
  },
  it: {
    address: "Indirizzo",
    invalidTitle: "Questo link non funziona",
    invalid: "Il link è incompleto o non è valido. Non è stato modificato nulla.",
    notNowTitle: "Al momento non è possibile",
    notNow: "Riprovi tra qualche minuto.",
  },
  pt: {
    address: "Endereço",
    invalidTitle: "Este link não funciona",
    invalid: "O link está incompleto ou não é válido. Nada foi alterado.",
    notNowTitle: "De momento não é possível",
    notNow: "Tente novamente dentro de alguns minutos.",
  },
  nl: {
    address: "Adres",
    invalidTitle: "Deze link werkt niet",
    invalid: "De link is onvolledig of ongeldig. Er is niets gewijzigd.",
    notNowTitle: "Dit lukt nu niet",
    notNow: "Probeer het over een paar minuten opnieuw.",
  },
  pl: {
    address: "Adres",
    invalidTitle: "Ten link nie działa",
    invalid: "Link jest niekompletny lub nieprawidłowy. Nic nie zostało zmienione.",
    notNowTitle: "W tej chwili to niemożliwe",
    notNow: "Spróbuj ponownie za kilka minut.",
  },
  sv: {
    address: "Adress",
    invalidTitle: "Länken fungerar inte",
    invalid: "Länken är ofullständig eller ogiltig. Inget har ändrats.",
    notNowTitle: "Det går inte just nu",
    notNow: "Försök igen om några minuter.",
  },
  da: {
    address: "Adresse",
    invalidTitle: "Linket virker ikke",
    invalid: "Linket er ufuldstændigt eller ugyldigt. Intet er ændret.",
    notNowTitle: "Det er ikke muligt lige nu",
    notNow: "Prøv igen om et par minutter.",
  },
  cs: {
    address: "Adresa",
    invalidTitle: "Tento odkaz nefunguje",
    invalid: "Odkaz je neúplný nebo neplatný. Nic se nezměnilo.",
    notNowTitle: "Momentálně to není možné",
    notNow: "Zkuste to prosím znovu za několik minut.",
  },
  ja: {
    address: "メールアドレス",
    invalidTitle: "このリンクは使用できません",
    invalid: "リンクが不完全か、無効です。何も変更されていません。",
    notNowTitle: "現在ご利用いただけません",
    notNow: "数分後にもう一度お試しください。",
  },
  ar: {
    address: "العنوان",
    invalidTitle: "هذا الرابط لا يعمل",
    invalid: "الرابط غير مكتمل أو غير صالح. لم يتغير أي شيء.",
    notNowTitle: "هذا غير ممكن في الوقت الحالي",
    notNow: "يُرجى المحاولة مرة أخرى بعد بضع دقائق.",
  },
};
