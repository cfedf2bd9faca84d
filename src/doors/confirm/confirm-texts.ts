// What the page to confirm a subscription says, in the languages that pages speak. Short sentences without the person's name,
// and without gender where the language lets us. Written without native readers for most languages: they are wanted.
// `LIST` stands for the list's name.

import type { Language } from "../pages/languages.ts";

export interface ConfirmTexts {
  readonly title: string;
  readonly ask: string;
  /** For whom somebody else has asked. */
  readonly notYou: string;
  readonly button: string;
  readonly doneTitle: string;
  readonly done: string;
  readonly tooOld: string;
}

export const CONFIRM_TEXTS: Readonly<Record<Language, ConfirmTexts>> = {
  en: {
    title: "Confirm your subscription",
    ask: "Do you want to get mail from the list “LIST”?",
    notYou: "If you did not ask for it, close this page: you will get no mail from this list.",
    button: "Yes, subscribe",
    doneTitle: "You are subscribed",
    done: "You will get mail from the list “LIST”.",
    tooOld: "The link is too old. Nothing was changed. Please subscribe again.",
  },
  de: {
    title: "Anmeldung bestätigen",
    ask: "Möchten Sie E-Mails der Liste „LIST“ bekommen?",
    notYou: "Wenn Sie das nicht angefordert haben, schließen Sie diese Seite: Sie bekommen keine E-Mails dieser Liste.",
    button: "Ja, anmelden",
    doneTitle: "Sie sind angemeldet",
    done: "Sie bekommen E-Mails der Liste „LIST“.",
    tooOld: "Der Link ist zu alt. Es wurde nichts geändert. Bitte melden Sie sich noch einmal an.",
  },
  fr: {
    title: "Confirmer l’abonnement",
    ask: "Souhaitez-vous recevoir les e-mails de la liste «\u00a0LIST\u00a0»\u00a0?",
    notYou: "Si vous n’avez rien demandé, fermez cette page\u00a0: vous ne recevrez pas d’e-mails de cette liste.",
    button: "Oui, m’abonner",
    doneTitle: "Abonnement confirmé",
    done: "Vous recevrez les e-mails de la liste «\u00a0LIST\u00a0».",
    tooOld: "Le lien est trop ancien. Rien n’a été modifié. Veuillez vous abonner à nouveau.",
  },
  es: {
    title: "Confirmar la suscripción",
    ask: "¿Desea recibir correos de la lista «LIST»?",
    notYou: "Si no lo ha solicitado, cierre esta página: no recibirá correos de esta lista.",
    button: "Sí, suscribirme",
    doneTitle: "Suscripción confirmada",
    done: "Recibirá correos de la lista «LIST».",
    tooOld: "El enlace es demasiado antiguo. No se ha cambiado nada. Suscríbase de nuevo.",
  },
  it: {
    title: "Conferma l’iscrizione",
    ask: "Desidera ricevere le e-mail della lista «LIST»?",
    notYou: "Se non l’ha richiesto, chiuda questa pagina: non riceverà e-mail da questa lista.",
    button: "Sì, desidero iscrivermi",
    doneTitle: "Iscrizione confermata",
    done: "Riceverà le e-mail della lista «LIST».",
    tooOld: "Il link è troppo vecchio. Non è stato modificato nulla. Si iscriva di nuovo.",
  },
  pt: {
    title: "Confirmar a subscrição",
    ask: "Deseja receber e-mails da lista “LIST”?",
    notYou: "Se não fez este pedido, feche esta página: não receberá e-mails desta lista.",
    button: "Sim, subscrever",
    doneTitle: "Subscrição confirmada",
    done: "Receberá e-mails da lista “LIST”.",
    tooOld: "O link é demasiado antigo. Nada foi alterado. Subscreva novamente.",
  },
  nl: {
    title: "Aanmelding bevestigen",
    ask: "Wilt u e-mails van de lijst ‘LIST’ ontvangen?",
    notYou: "Hebt u hier niet om gevraagd? Sluit dan deze pagina: u ontvangt geen e-mails van deze lijst.",
    button: "Ja, aanmelden",
    doneTitle: "U bent aangemeld",
    done: "U ontvangt e-mails van de lijst ‘LIST’.",
    tooOld: "De link is te oud. Er is niets gewijzigd. Meld u opnieuw aan.",
  },
  pl: {
    title: "Potwierdzenie subskrypcji",
    ask: "Chcesz otrzymywać wiadomości z listy „LIST”?",
    notYou: "Jeśli to nie Twoja prośba, zamknij tę stronę: nie będziesz otrzymywać wiadomości z tej listy.",
    button: "Tak, subskrybuję",
    doneTitle: "Subskrypcja została potwierdzona",
    done: "Będziesz otrzymywać wiadomości z listy „LIST”.",
    tooOld: "Link jest zbyt stary. Nic nie zostało zmienione. Zapisz się jeszcze raz.",
  },
  sv: {
    title: "Bekräfta prenumerationen",
    ask: "Vill du få e-post från listan ”LIST”?",
    notYou: "Om du inte har bett om det kan du stänga sidan: du får ingen e-post från listan.",
    button: "Ja, prenumerera",
    doneTitle: "Prenumerationen är bekräftad",
    done: "Du får e-post från listan ”LIST”.",
    tooOld: "Länken är för gammal. Inget har ändrats. Anmäl dig igen.",
  },
  da: {
    title: "Bekræft tilmeldingen",
    ask: "Vil du modtage mails fra listen »LIST«?",
    notYou: "Hvis du ikke har bedt om det, så luk denne side: du modtager ingen mails fra listen.",
    button: "Ja, tilmeld",
    doneTitle: "Du er tilmeldt",
    done: "Du modtager mails fra listen »LIST«.",
    tooOld: "Linket er for gammelt. Intet er ændret. Tilmeld dig igen.",
  },
  cs: {
    title: "Potvrzení odběru",
    ask: "Chcete dostávat e-maily ze seznamu „LIST“?",
    notYou: "Pokud jste o to nežádali, zavřete tuto stránku: e-maily z tohoto seznamu dostávat nebudete.",
    button: "Ano, přihlásit odběr",
    doneTitle: "Odběr byl potvrzen",
    done: "Budete dostávat e-maily ze seznamu „LIST“.",
    tooOld: "Odkaz je příliš starý. Nic se nezměnilo. Přihlaste se prosím znovu.",
  },
  ja: {
    title: "購読の確認",
    ask: "リスト「LIST」からのメールを受け取りますか？",
    notYou: "お心当たりがない場合は、このページを閉じてください。このリストからのメールは届きません。",
    button: "はい、購読する",
    doneTitle: "購読を確認しました",
    done: "今後、リスト「LIST」からのメールが届きます。",
    tooOld: "リンクの有効期限が切れています。何も変更されていません。もう一度お申し込みください。",
  },
  ar: {
    title: "تأكيد الاشتراك",
    ask: "هل ترغب في تلقي رسائل من القائمة «LIST»؟",
    notYou: "إذا لم تطلب ذلك، فأغلق هذه الصفحة: لن تصلك رسائل من هذه القائمة.",
    button: "نعم، أؤكد الاشتراك",
    doneTitle: "تم تأكيد الاشتراك",
    done: "ستصلك رسائل من القائمة «LIST».",
    tooOld: "الرابط قديم جدًا. لم يتغير أي شيء. يُرجى الاشتراك مرة أخرى.",
  },
};
